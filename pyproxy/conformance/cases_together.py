"""Cases of fields that have a say about the same thing: each may be right alone, and both wrong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.inputs import WEBSOCKET, chunked, get, get_10, proxied, reply
from pyproxy.conformance.peers import Script
from pyproxy.policy.release import Release

_LATE = """\
headers:
  lateResponseHeaders:
    add: [{name: X-Envoy-Upstream-Healthchecked-Cluster, value: mine}, {name: X-Add, value: added}]
    set: [{name: Content-Type, value: late}, {name: X-Referer, value: '%REQ(referer)%'}]
    remove: [x-gone]
"""
_HEALTH_FIELDS = ("spec.healthCheck.path", "spec.headers.lateResponseHeaders.add[].name")
HEALTH_LATE = {
    release: Group(f"health check, late headers {release.value}", release, _LATE + "healthCheck: {path: /ready}")
    for release in Release
}
HEALTH_REMOVED = Group(
    "health check, late headers taken out",
    spec="headers: {lateResponseHeaders: {removeOnMatch: [{type: Prefix, value: x-}]}}\nhealthCheck: {path: /ready}",
)
SPELLED = Group(
    "names as spelt, HTTP/1.0, trailers",
    spec="http1: {preserveHeaderCase: true, http10: {useDefaultHost: true}, enableTrailers: true}",
    hostname="h.example",
)
SPELLED_LATE = Group(
    "names as spelt, late headers",
    Release.V0_6,
    "http1: {preserveHeaderCase: true}\n" + _LATE.replace("X-Add", "x-ADD"),
)
EARLY = {
    release: Group(
        f"early headers about the request itself {release.value}",
        release,
        """\
headers:
  earlyRequestHeaders:
    add: [{name: X-Code, value: '%RESPONSE_CODE%'}]
    set: [{name: X-Referer, value: '%REQ(referer)%'}]
    addIfAbsent: [{name: Referer, value: 'not: one'}]
  lateResponseHeaders:
    set: [{name: X-Code, value: '%RESPONSE_CODE% %REQ(x-code)% %REQ(referer)%'}]
""",
    )
    for release in Release
}
# Everything that says who the client is, at once.
CLIENT = Group(
    "PROXY header, trusted networks, early X-Forwarded-For",
    spec="""\
proxyProtocol: {optional: true}
clientIPDetection: {xForwardedFor: {trustedCIDRs: [203.0.113.0/24, 10.0.0.0/8, '2001:db8::/32']}}
headers:
  requestID: PreserveOrGenerate
  enableEnvoyHeaders: true
  earlyRequestHeaders: {add: [{name: X-Forwarded-For, value: '10.9.9.9'}], remove: [X-Forwarded-Proto]}
  lateResponseHeaders: {set: [{name: X-Client, value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'}]}
""",
)
COUNTED = Group(
    "PROXY header, connection limit",
    Release.V0_6,
    "proxyProtocol: {}\nconnection: {connectionLimit: {value: 1, closeDelay: 200ms, maxRequestsPerConnection: 2}}",
)
HOSTS = Group(
    "host dot, default host, slashes",
    spec="""\
http1: {http10: {useDefaultHost: true}}
path: {escapedSlashesAction: UnescapeAndForward, disableMergeSlashes: true}
healthCheck: {path: /a//b}
headers: {host: {stripTrailingHostDot: true}, maxRequestHeaderLimit: 1Ki, withUnderscoresAction: DropHeader}
""",
    hostname="h.example",
)


REJECTED = {
    action: Group(
        f"paths refused, late headers, {action}",
        spec=f"path: {{escapedSlashesAction: {action}}}\n"
        "headers: {lateResponseHeaders: {set: [{name: X-Path, value: '%REQ(:path)%'}]}}",
    )
    for action in ("RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect")
}


def _paths() -> Iterator[Case]:
    fields = ("spec.path.escapedSlashesAction", "spec.headers.lateResponseHeaders.set[].value")
    for group in REJECTED.values():
        for path in (b"/a%2fb%5c?q=%2f", b"/a%2f%00", b"/a%2f#b", b"/%2e/a//%00", b"/a%2fb"):
            yield Case(f"together/{group.name}/{path.decode()}", group, (get(path=path),), fields=fields)


def _health() -> Iterator[Case]:
    requests = {
        "alone": get(path=b"/ready"),
        "a referer": get(b"Referer: http://a.example/", path=b"/ready"),
        "no route": get(path=b"/ready", host=b"other"),
        "a body": get(b"Content-Length: 2", path=b"/ready", method=b"POST") + b"ab",
        "an upgrade": get(b"Connection: Upgrade", b"Upgrade: foo", path=b"/ready"),
        "websocket": get(*WEBSOCKET, path=b"/ready"),
    }
    for group in (*HEALTH_LATE.values(), HEALTH_REMOVED):
        for name, request in requests.items():
            yield Case(f"together/{group.name}/{name}", group, (request,), fields=_HEALTH_FIELDS)
    for upgrade in (b"foo", b"websocket", b""):
        for host in (b"h.example", b"other"):
            request = get(b"Connection: Upgrade", b"Upgrade: " + upgrade, path=b"/a//b", host=host)
            name = f"together/{HOSTS.name}/upgrade {upgrade.decode()} of a health check, host {host.decode()}"
            yield Case(name, HOSTS, (request,), fields=_HEALTH_FIELDS)
    for group in (*HEALTH_LATE.values(), HEALTH_REMOVED):
        yield Case(f"together/{group.name}/routed", group, (get(path=b"/readyx"),), script=reply(b"X-Gone: b"))


def _spelling() -> Iterator[Case]:
    fields = ("spec.http1.preserveHeaderCase", "spec.http1.http10.useDefaultHost")
    hosts = {"none": b"", "empty": b"HOST:\r\n", "own": b"HoSt: H.Example\r\n"}
    for name, line in hosts.items():
        for version in (b" HTTP/1.1", b" HTTP/1.0", b""):
            request = b"GET /" + version + b"\r\n" + line + b"X-CaSe: c\r\n\r\n"
            full = f"together/{SPELLED.name}/host {name}{version.decode() or ' HTTP/0.9'}"
            yield Case(full, SPELLED, (request,), script=reply(b"X-CaSe: b", b"sErVer: b"), fields=fields)
    trailers = b"X-CaSe: t\r\nx-other: t\r\n"
    script = Script((b"HTTP/1.1 200 OK\r\nTransfer-ENCODING: chunked\r\nX-CaSe: b\r\n\r\n0\r\nX-TraiLer: t\r\n\r\n",))
    yield Case(f"together/{SPELLED.name}/trailers", SPELLED, (chunked(trailers=trailers),), script=script)
    for status in (b"200 OK", b"302 Found", b"204 No Content", b"404 Not Found"):
        for group in (SPELLED, SPELLED_LATE):
            full = f"together/{group.name}/upgrade refused with {status[:3].decode()}"
            yield Case(full, group, (get(*WEBSOCKET),), script=reply(b"X-CaSe: b", status=status, body=b""))
    yield Case(
        f"together/{SPELLED_LATE.name}/answered", SPELLED_LATE, (get(),), script=reply(b"X-GONE: b", b"X-AdD: b")
    )


def _refused_in_http_10() -> Iterator[Case]:
    fields = ("spec.http1.http10.useDefaultHost",)
    for version in (b" HTTP/1.0", b""):
        for target in (b"*", b"p://h.example/", b"http:///x", b"http://h:x/", b"a", b"/\x01"):
            request = b"GET " + target + version + b"\r\n\r\n"
            name = f"together/{HOSTS.name}/target {target!r}{version.decode()}"
            yield Case(name, HOSTS, (request,), fields=fields)
    lines = {
        "host": (b"Host: a b",), "lengths": (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        "coding": (b"Transfer-Encoding: gzip",), "length": (b"Content-Length: x",), "name": (b"b d: x",),
        "nominations": (b"Connection: a,b,c,d,e,f,g,h,i,j,k",), "too many": (b"a: b",) * 101,
    }  # fmt: skip
    for name, sent in lines.items():
        request = get_10(*sent, host=b"", method=b"POST")
        yield Case(f"together/{HOSTS.name}/refused for its {name}", HOSTS, (request,), fields=fields)


def _early() -> Iterator[Case]:
    fields = ("spec.headers.earlyRequestHeaders.addIfAbsent[].value", "spec.headers.lateResponseHeaders.set[].value")
    expect = (b"Expect: 100-continue", b"Content-Length: 2")
    requests = {
        "nothing": (get(),),
        "a referer": (get(b"Referer: http://a.example/x"),),
        "a bad referer": (get(b"Referer: a:b"),),
        "two referers": (get(b"Referer: /a", b"Referer: /b"),),
        "expect": (get(*expect, method=b"POST"), 0.1, b"ok"),
        "expect, no route": (get(*expect, method=b"POST", path=b"*"), 0.1, b"ok"),
        "expect, redirected": (get(*expect, method=b"POST", path=b"/a%2fb"), 0.1, b"ok"),
    }
    for group in EARLY.values():
        for name, steps in requests.items():
            yield Case(f"together/{group.name}/{name}", group, steps, fields=fields)


def _clients() -> Iterator[Case]:
    fields = ("spec.proxyProtocol.optional", "spec.clientIPDetection.xForwardedFor.trustedCIDRs[]")
    peers = {
        "none": b"", "trusted": proxied(), "not trusted": proxied(b"198.51.100.7"), "IPv6": proxied(b"2001:db8::7"),
        "unknown": b"PROXY UNKNOWN\r\n",
    }  # fmt: skip
    chains = {"none": (), "one": (b"X-Forwarded-For: 1.2.3.4",), "two": (b"X-Forwarded-For: 1.2.3.4, 10.1.1.1",)}
    for peer, preface in peers.items():
        for name, lines in chains.items():
            sent = (*lines, b"X-Request-Id: mine", b"X-Forwarded-Proto: https", b"X-Envoy-Internal: true")
            full = f"together/{CLIENT.name}/peer {peer}, chain {name}"
            yield Case(full, CLIENT, (preface + get(*sent),), fields=fields)
    for name, data in {"no request": b"", "a request": get(), "many": get() * 4}.items():
        full = f"together/{COUNTED.name}/{name} over the limit"
        steps = (proxied() + data,)
        yield Case(full, COUNTED, steps, held=1, held_send=proxied(), responses=0, quiet=1.0, compare_end=bool(data))
        if data:
            yield Case(
                f"together/{COUNTED.name}/{name}", COUNTED, steps, responses=4 if name == "many" else 1, quiet=1.5
            )


def _hosts() -> Iterator[Case]:
    fields = ("spec.headers.host.stripTrailingHostDot", "spec.http1.http10.useDefaultHost")
    hosts = {"none": b"", "dot": b"h.example.", "dot and port": b"H.Example.:80", "another": b"other.example."}
    for host_name, host in hosts.items():
        for path in (b"/a%2F/b", b"/a//b", b"http://h.example./a%2f%2fb", b"/A_b"):
            for make in (get, get_10):
                version = "1.1" if make is get else "1.0"
                name = f"together/{HOSTS.name}/{host_name} {path.decode()} {version}"
                yield Case(name, HOSTS, (make(b"x_y: 1", host=host, path=path),), fields=fields)


def cases_together() -> Iterable[Case]:
    """All of them."""
    return [
        case for part in (_paths, _health, _spelling, _refused_in_http_10, _early, _clients, _hosts) for case in part()
    ]
