"""HTTPRoutes and requests that cases about routes are put together from."""

from __future__ import annotations

from collections.abc import Sequence

BACKEND = "{group: gateway.envoyproxy.io, kind: Backend, name: lane%(lane)d}"
NOWHERE = "{group: gateway.envoyproxy.io, kind: Backend, name: nowhere}"

GRPC = b"Content-Type: application/grpc"


def get(path: str, *lines: bytes, host: bytes = b"h.example", method: bytes = b"GET") -> bytes:
    """A request; its body, if it has one, is to follow."""
    return b"\r\n".join((b"%b %b HTTP/1.1" % (method, path.encode()), b"Host: " + host, *lines)) + b"\r\n\r\n"


def http_route(
    name: str, *rules: str, hostnames: str = "", sections: Sequence[str] = ("lane%(lane)d",), created: str = ""
) -> str:
    """An HTTPRoute of a lane, as YAML."""
    parents = ", ".join(f"{{name: eg, sectionName: {section}}}" for section in sections)
    age = f", creationTimestamp: {created!r}" if created else ""
    return (
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: lane%(lane)d-{name}{age}}}\nspec:\n  parentRefs: [{parents}]\n"
        + (f"  hostnames: [{hostnames}]\n" if hostnames else "")
        + "".join(f"  rules:\n{''.join(rules)}" if rules else "")
    )


def rule(matches: str, *filters: str, to: str = BACKEND, more: str = "") -> str:
    """One rule; ``to``: its backendRefs."""
    return f"  - {{matches: [{matches}], filters: [{', '.join(filters)}], backendRefs: [{to}]{more}}}\n"


def named(name: str) -> str:
    """A filter that says which rule it was."""
    return response_headers(f"set: [{{name: x-rule, value: {name}}}]")


def request_headers(fields: str) -> str:
    return f"{{type: RequestHeaderModifier, requestHeaderModifier: {{{fields}}}}}"


def response_headers(fields: str) -> str:
    return f"{{type: ResponseHeaderModifier, responseHeaderModifier: {{{fields}}}}}"


def redirect(fields: str) -> str:
    return f"{{type: RequestRedirect, requestRedirect: {{{fields}}}}}"


def rewrite(fields: str) -> str:
    return f"{{type: URLRewrite, urlRewrite: {{{fields}}}}}"


def path(value: str, kind: str = "PathPrefix", more: str = "") -> str:
    """A match."""
    return f"{{path: {{type: {kind}, value: '{value}'}}{more}}}"


def full(value: str) -> str:
    return f"path: {{type: ReplaceFullPath, replaceFullPath: '{value}'}}"


def prefix(value: str) -> str:
    return f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{value}'}}"


MANY_OF_RESPONSES = response_headers(
    "add: [{name: X-Added, value: a}, {name: X-Two, value: three}, {name: vary, value: b}, "
    "{name: set-cookie, value: b}], set: [{name: Server, value: me}, {name: content-type, value: text/x}, "
    "{name: location, value: there}, {name: x-envoy-upstream-service-time, value: never}], remove: [x-gone, etag]"
)
OF_ONE_BACKEND = (
    "add: [{name: x-both, value: backend}, {name: x-b, value: b}], set: [{name: x-s, value: backend}], remove: [x-r]"
)
OF_BACKEND = BACKEND.replace(
    "d}", f"d, filters: [{request_headers(OF_ONE_BACKEND)}, {response_headers(OF_ONE_BACKEND)}]}}"
)
