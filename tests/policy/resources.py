"""Small resources to put together in tests."""

from __future__ import annotations

from datetime import UTC, datetime

from pyproxy.errors import PolicyError, PolicyErrors
from pyproxy.policy.load import Loaded, load_texts
from pyproxy.policy.release import Release

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

BASE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: eg
  listeners:
  - {name: http, protocol: HTTP, port: 80}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: backend}
spec:
  parentRefs: [{name: eg}]
  rules:
  - backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: backend}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: backend}
spec:
  endpoints: [{ip: {address: 127.0.0.1, port: 3000}}]
"""

POLICY = """\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: p}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]
"""


def policy(spec: str, *, name: str = "p", target: str = "name: eg", metadata: str = "") -> str:
    """A policy whose spec has ``spec``'s lines behind its target."""
    lines = "".join(f"  {line}\n" for line in spec.splitlines())
    return (
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\n"
        f"metadata: {{name: {name}{metadata}}}\nspec:\n"
        f"  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, {target}}}]\n{lines}"
    )


def loaded(*texts: str, release: Release = Release.V1_9, address: str = "127.0.0.1") -> Loaded:
    """Each text is a file called ``a.yaml``, ``b.yaml`` …"""
    named = [(f"{chr(ord('a') + number)}.yaml", text) for number, text in enumerate(texts)]
    return load_texts(named, release=release, address=address, now=NOW)


def errors(*texts: str) -> list[PolicyError]:
    """What is wrong with them; the warnings if nothing is."""
    try:
        return loaded(*texts).problems
    except PolicyErrors as found:
        return list(found.errors)


def first(*texts: str) -> str:
    """The first error."""
    found = errors(*texts)
    assert found, "there is no error"
    return str(found[0])


def only(*texts: str) -> str:
    """The only error."""
    found = errors(*texts)
    assert len(found) == 1, found
    return str(found[0])
