"""Which policy applies to which listener, as Envoy Gateway decides it.

Policies with a section name go first, then those for a whole Gateway; within each the older first, then by namespace
and name. The first to claim a listener keeps it, and nothing is merged. What a policy gets to hear about each of its
targets is a list of conditions (``policy.status`` prints them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy, TargetRef
from pyproxy.policy.model import Gateway, Metadata

ListenerKey = tuple[str, str, str]
"""(namespace, Gateway, listener)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """metav1.Condition without its time."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(slots=True)
class Ancestor:
    """What one policy hears about one target."""

    namespace: str
    gateway: str
    section: str | None
    conditions: list[Condition] = field(default_factory=list)


@dataclass(slots=True)
class Attachment:
    """The result for all policies."""

    applied: dict[ListenerKey, ClientTrafficPolicy] = field(default_factory=dict)
    """The policy that applies to each listener; a listener without one is not in it."""
    claimed: set[ListenerKey] = field(default_factory=set)
    """Listeners that a policy has for itself; also where it turned out to be invalid and applies to nothing."""
    ancestors: dict[tuple[str, str], list[Ancestor]] = field(default_factory=dict)
    """By (namespace, name) of the policy."""


ACCEPTED = Condition("Accepted", True, "Accepted", "Policy has been accepted.")


def key(metadata: Metadata) -> tuple[str, str]:
    """(namespace, name)."""
    return metadata.namespace, metadata.name


def by_age(metadata: Metadata) -> tuple[bool, float, str, str]:
    """Sort key: older first, objects without a time last, then namespace and name."""
    created: datetime | None = metadata.creation_timestamp
    return created is None, created.timestamp() if created else 0.0, metadata.namespace, metadata.name


def attach(gateways: Sequence[Gateway], policies: Sequence[ClientTrafficPolicy]) -> Attachment:
    """Give every listener its policy and every policy its conditions."""
    result = Attachment()
    by_name = {key(gateway.metadata): gateway for gateway in gateways}
    ordered = sorted(policies, key=lambda policy: by_age(policy.metadata))
    gateway_wide: dict[tuple[str, str], ClientTrafficPolicy] = {}
    for sections in (True, False):
        for policy in ordered:
            for _, ref in policy.spec.targets:
                if (ref.section_name is not None) is not sections:
                    continue
                gateway = by_name[policy.metadata.namespace, ref.name]  # load has checked that it is there
                conditions = (
                    _attach_section(result, gateway, policy, ref)
                    if sections
                    else _attach_gateway(result, gateway, policy, gateway_wide)
                )
                ancestor = Ancestor(gateway.metadata.namespace, gateway.metadata.name, ref.section_name, conditions)
                result.ancestors.setdefault(key(policy.metadata), []).append(ancestor)
    return result


def _attach_section(
    result: Attachment, gateway: Gateway, policy: ClientTrafficPolicy, ref: TargetRef
) -> list[Condition]:
    namespace, name = key(gateway.metadata)
    section = ref.section_name
    listener = next((listener for listener in gateway.spec.listeners if listener.name == section), None)
    if section is None or listener is None:
        message = f"No section name {section} found for Gateway {namespace}/{name}"
        return [Condition("Accepted", False, "TargetNotFound", message)]
    if (namespace, name, section) in result.claimed:
        message = f"Unable to target section of {name}, another ClientTrafficPolicy has already attached to it"
        return [Condition("Accepted", False, "Conflicted", message)]
    result.claimed.add((namespace, name, section))
    others = [other for other in gateway.spec.listeners if other.port == listener.port and other is not listener]
    if others:
        listeners = ", ".join(f"{namespace}/{name}/{other.name}" for other in others)
        message = (
            f"ClientTrafficPolicy is being applied to multiple http (non https) listeners ({listeners}) on the same "
            "port, which is not allowed."
        )
        return [Condition("Accepted", False, "Invalid", message), *_deprecations(policy)]
    result.applied[namespace, name, section] = policy
    return [ACCEPTED, *_deprecations(policy)]


def _attach_gateway(
    result: Attachment,
    gateway: Gateway,
    policy: ClientTrafficPolicy,
    gateway_wide: dict[tuple[str, str], ClientTrafficPolicy],
) -> list[Condition]:
    namespace, name = key(gateway.metadata)
    if (namespace, name) in gateway_wide:
        message = f"Unable to target Gateway {name}, another ClientTrafficPolicy has already attached to it"
        return [Condition("Accepted", False, "Conflicted", message)]
    gateway_wide[namespace, name] = policy
    overridden = []
    for listener in gateway.spec.listeners:
        listener_key = (namespace, name, listener.name)
        if listener_key in result.claimed:
            overridden.append(listener.name)
        else:
            result.applied[listener_key] = policy
    conditions = [ACCEPTED, *_deprecations(policy)]
    if overridden:
        sections = " ".join(sorted(overridden))
        message = f"There are existing ClientTrafficPolicies that are overriding these sections [{sections}]"
        conditions.insert(0, Condition("Overridden", True, "Overridden", message))
    return conditions


def _deprecations(policy: ClientTrafficPolicy) -> list[Condition]:
    spec = policy.spec
    headers = spec.headers
    used = {
        "spec.enableProxyProtocol": ("spec.proxyProtocol", spec.enable_proxy_protocol is not None),
        "spec.headers.preserveXRequestID": (
            "spec.headers.requestID",
            headers is not None and headers.preserve_x_request_id is not None,
        ),
        "spec.targetRef": ("spec.targetRefs", spec.target_ref is not None),
    }
    messages = [f"{old} is deprecated, use {new} instead" for old, (new, is_used) in sorted(used.items()) if is_used]
    return [Condition("Warning", True, "DeprecatedField", "; ".join(messages))] if messages else []
