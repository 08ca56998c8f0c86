"""Cases for a policy's clientIPDetection, headers, path and scheme: one or more for each field and its edge values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.inputs import CHUNKED_REPLY, TUNNEL, WEBSOCKET, chunked, get, get_10, proxied, reply
from pyproxy.conformance.peers import Script
from pyproxy.policy.release import Release

V0_6 = Release.V0_6


# -- clientIPDetection -----------------------------------------------------------------------------------------

_XFF = "spec.clientIPDetection.xForwardedFor"
_CUSTOM = "spec.clientIPDetection.customHeader"


def _detecting(name: str, detection: str, release: Release = Release.V1_9) -> Group:
    return Group(name, release, f"proxyProtocol: {{optional: true}}\nclientIPDetection: {detection}")


HOPS_0 = _detecting("numTrustedHops 0", "{xForwardedFor: {numTrustedHops: 0}}")
HOPS_1 = _detecting("numTrustedHops 1", "{xForwardedFor: {numTrustedHops: 1}}", V0_6)
HOPS_2 = _detecting("numTrustedHops 2", "{xForwardedFor: {numTrustedHops: 2}}")
HOPS_2_OFF = _detecting(
    "numTrustedHops 2, not appended", "{xForwardedFor: {numTrustedHops: 2, disableXForwardedForAppend: true}}"
)
_NETWORKS = "trustedCIDRs: [203.0.113.0/24, 10.1.0.0/16, '2001:db8::/32']"
NETWORKS = _detecting("trustedCIDRs", f"{{xForwardedFor: {{{_NETWORKS}}}}}", V0_6)
NETWORKS_OFF = _detecting(
    "trustedCIDRs, not appended", f"{{xForwardedFor: {{{_NETWORKS}, disableXForwardedForAppend: true}}}}"
)
CUSTOM = _detecting("customHeader", "{customHeader: {name: X-Client-IP}}", V0_6)
FAIL_CLOSED = _detecting("customHeader failClosed", "{customHeader: {name: x-client-ip, failClosed: true}}")
DIRECT = _detecting("directSourceIP", "{directSourceIP: {}}", V0_6)


def _client_ip() -> Iterator[Case]:
    chains = {
        "none": (),
        "one": (b"1.2.3.4",),
        "two": (b"1.1.1.1, 2.2.2.2",),
        "three": (b"1.1.1.1, 2.2.2.2,3.3.3.3",),
        "two lines": (b"1.1.1.1", b"2.2.2.2"),
        "empty": (b"",),
        "a comma at the end": (b"1.1.1.1,",),
        "not an address": (b"1.1.1.1, unknown",),
        "a port": (b"1.2.3.4:80",),
        "IPv6": (b"2001:DB8::5",),
        "through trusted ones": (b"1.1.1.1, 10.1.2.3, 203.0.113.9",),
        "all trusted": (b"10.1.2.3, 203.0.113.9",),
        "internal": (b"10.9.9.9",),
        "a scope id": (b"fe80::1%lo",),
        "twenty-one": (b",".join([b"203.0.113.9"] * 21),),
    }
    groups = {
        HOPS_0: ("numTrustedHops",),
        HOPS_1: ("numTrustedHops",),
        HOPS_2: ("numTrustedHops",),
        HOPS_2_OFF: ("numTrustedHops", "disableXForwardedForAppend"),
        NETWORKS: ("trustedCIDRs[]",),
        NETWORKS_OFF: ("trustedCIDRs[]", "disableXForwardedForAppend"),
    }
    for group, leaves in groups.items():
        fields = tuple(f"{_XFF}.{leaf}" for leaf in leaves)
        for name, chain in chains.items():
            request = proxied() + get(*(b"X-Forwarded-For: " + line for line in chain))
            yield Case(f"client ip/{group.name}/{name}", group, (request,), fields=fields, addresses=True)
        for name, source in {"not trusted": b"198.51.100.7", "IPv6": b"2001:db8::7", "loopback": b"127.0.0.1"}.items():
            request = proxied(source) + get(b"X-Forwarded-For: 1.2.3.4")
            yield Case(f"client ip/{group.name}/peer {name}", group, (request,), fields=fields, addresses=True)
    spoof = (
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Proto: https",
        b"X-Envoy-External-Address: 6.6.6.6",
        b"X-Envoy-Internal: true",
        b"X-Request-Id: mine",
        b"X-Envoy-Original-Path: /o",
        b"X-Envoy-Force-Trace: 1",
        b"X-Envoy-Decorator-Operation: op",
        b"X-Client-IP: 5.6.7.8",
        b"X-Forwarded-Client-Cert: By=me",
    )
    for group in (HOPS_0, HOPS_1, NETWORKS, CUSTOM, FAIL_CLOSED, DIRECT):
        yield Case(f"client ip/{group.name}/what a client claims", group, (proxied() + get(*spoof),))
    for name, value in {"empty": b"", "odd": b"ftp"}.items():
        request = proxied() + get(b"X-Forwarded-Proto: " + value)
        yield Case(f"client ip/x-forwarded-proto {name}", HOPS_1, (request,))
    for name, peer in {"outside": b"203.0.113.7", "inside": b"10.1.2.3"}.items():
        request = proxied(peer) + get(b"X-Forwarded-For: 1.2.3.4")
        field = "spec.clientIPDetection.directSourceIP"
        yield Case(f"client ip/direct/{name}", DIRECT, (request,), fields=(field,), addresses=True)
    values = {
        "an address": (b"1.2.3.4",),
        "IPv6": (b"2001:db8::5",),
        "internal": (b"10.9.9.9",),
        "none": (),
        "empty": (b"",),
        "nonsense": (b"nonsense",),
        "a list": (b"1.2.3.4, 5.6.7.8",),
        "two lines": (b"1.2.3.4", b"5.6.7.8"),
    }
    for group in (CUSTOM, FAIL_CLOSED):
        for name, lines in values.items():
            request = proxied() + get(b"X-Forwarded-For: 9.9.9.9", *(b"X-Client-IP: " + line for line in lines))
            fields = (f"{_CUSTOM}.name", f"{_CUSTOM}.failClosed")
            yield Case(f"client ip/{group.name}/{name}", group, (request,), fields=fields)
    refused = {
        "HEAD": get(method=b"HEAD"),
        "with a body": get(b"Content-Length: 5", method=b"POST") + b"ab",
        "upgrade": get(*WEBSOCKET),
        "CONNECT": get(path=b"h.example:80", method=b"CONNECT"),
        "to be redirected": get(path=b"/a%2fb"),
        "gRPC": get(b"Content-Type: application/grpc"),
    }
    for name, request in refused.items():
        case = Case(f"client ip/forbidden/{name}", FAIL_CLOSED, (request,))
        yield case


# -- headers ---------------------------------------------------------------------------------------------------

UNDERSCORES = {
    action: Group(f"underscores {action}", spec=f"headers: {{withUnderscoresAction: {action}}}")
    for action in ("Allow", "RejectRequest", "DropHeader")
}
CLIENT_CERT = {
    mode: Group(f"client certificate {mode}", V0_6, f"headers: {{xForwardedClientCert: {{mode: {mode}{details}}}}}")
    for mode, details in (
        ("Sanitize", ""),
        ("ForwardOnly", ""),
        ("AppendForward", ", certDetailsToAdd: [Subject, Cert, Chain, DNS, URI]"),
        ("SanitizeSet", ", certDetailsToAdd: [Subject]"),
        ("AlwaysForwardOnly", ""),
    )
}
REQUEST_ID = {
    value: Group(f"request id {value}", V0_6, f"proxyProtocol: {{optional: true}}\nheaders: {{requestID: {value}}}")
    for value in ("PreserveOrGenerate", "Preserve", "Generate", "Disable")
}
PRESERVE_ID = {
    value: Group(f"preserveXRequestID {value}", spec=f"headers: {{preserveXRequestID: {value}}}")
    for value in ("true", "false")
}
RATE_LIMIT = Group("disableRateLimitHeaders", spec="headers: {disableRateLimitHeaders: true}")
HOST_DOT = Group(
    "stripTrailingHostDot", spec="headers: {host: {stripTrailingHostDot: true}}", hostname="www.example.com"
)
HOST_DOT_ANY = Group("stripTrailingHostDot, any host", V0_6, "headers: {host: {stripTrailingHostDot: true}}")
LIMIT_1K = Group("maxRequestHeaderLimit 1000", spec="headers: {maxRequestHeaderLimit: 1000}")
LIMIT_96K = Group("maxRequestHeaderLimit 97281", V0_6, "headers: {maxRequestHeaderLimit: 97281}")
_MUTATIONS = """\
headers:
  %s:
    add: [{name: X-Add, value: added}, {name: X-Both, value: first}, {name: Vary, value: v}, {name: Accept, value: a}]
    set:
    - {name: X-Set, value: set}
    - {name: x-both, value: dropped}
    - {name: Cache-Control, value: no-store}
    - {name: User-Agent, value: mine}
    addIfAbsent: [{name: X-Absent, value: 100%%%% default}, {name: X-ADD, value: dropped}]
    remove: [X-Remove, X-Remove-Too]
    removeOnMatch:
    - {value: x-exact}
    - {type: Prefix, value: x-prefix-}
    - {type: Suffix, value: -suffix}
    - {type: RegularExpression, value: 'x-re[0-9]+'}
"""
EARLY = {
    release: Group(f"early headers {release.value}", release, _MUTATIONS % "earlyRequestHeaders") for release in Release
}
LATE = {
    release: Group(f"late headers {release.value}", release, _MUTATIONS % "lateResponseHeaders") for release in Release
}
EARLY_SPECIAL = Group(
    "early headers that Envoy reads",
    V0_6,
    """\
proxyProtocol: {optional: true}
headers:
  earlyRequestHeaders:
    add: [{name: X-Forwarded-For, value: 9.9.9.9}, {name: Cookie, value: e=1}, {name: Via, value: early}]
    set: [{name: X-Forwarded-Proto, value: https}, {name: X-Envoy-Retry-On, value: 5xx}, {name: Expect, value: x}]
    addIfAbsent: [{name: X-Request-Id, value: early}, {name: Content-Type, value: application/grpc}]
    remove: [X-Envoy-External-Address]
""",
)
LATE_SPECIAL = {
    release: Group(
        f"late headers that Envoy writes {release.value}",
        release,
        """\
headers:
  lateResponseHeaders:
    add: [{name: Server, value: late}, {name: Set-Cookie, value: late}, {name: Content-Type, value: late}]
    set: [{name: Date, value: never}, {name: X-Envoy-Upstream-Service-Time, value: '7'}]
    remove: [Location, Etag]
""",
    )
    for release in Release
}
LATE_REMOVES = {
    release: Group(
        f"late headers taken out {release.value}",
        release,
        "headers: {lateResponseHeaders: {remove: [server, date, x-envoy-upstream-service-time, content-type]}}",
    )
    for release in Release
}
# Envoy's commands in values: of requests, and of responses with what they can tell then.
_COMMANDS = """\
proxyProtocol: {optional: true}
clientIPDetection: {xForwardedFor: {numTrustedHops: 1}}
headers:
  earlyRequestHeaders:
    add: [{name: X-Missing, value: '%REQ(nosuch)%'}, {name: Via, value: '<%REQ(x-m)%>'}]
    set:
    - {name: X-Own, value: own}
    - {name: X-Parts, value: 'a%%%REQ(X-OWN)%|%REQ(x-m):2%|%REQ(nosuch?x-own)%|%REQ(x-empty?x-own)%|%PROTOCOL%'}
    - {name: X-Line, value: '%REQ(:method)% %REQ(:path)% %REQ(:authority)% %REQ(host)%'}
    - {name: X-Client, value: '%DOWNSTREAM_REMOTE_ADDRESS%|%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'}
    - {name: X-Ends, value: '%DOWNSTREAM_REMOTE_PORT%|%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%'}
    - {name: X-Kept, value: '%REQ(nosuch)%'}
    addIfAbsent: [{name: X-Nothing-Yet, value: '%RESP(a)%%RESPONSE_CODE%%RESPONSE_FLAGS%%UPSTREAM_HOST%'}]
  lateResponseHeaders:
    add: [{name: X-Missing, value: '%RESP(nosuch)%'}]
    set:
    - {name: X-Sent, value: '%REQ(x-forwarded-for)%|%REQ(x-forwarded-proto)%|%REQ(x-envoy-internal)%|%REQ(x-m)%'}
    - {name: X-Router, value: '%REQ(x-envoy-expected-rq-timeout-ms)%|%REQ(x-envoy-retry-on)%|%REQ(content-length)%'}
    - {name: X-Got, value: '%RESP(:status)%|%RESP(a)%|%RESP(date)%|%RESP(server)%|%RESP(content-length)%'}
    - {name: X-How, value: '%RESPONSE_CODE%|%RESPONSE_FLAGS%|%RESPONSE_CODE_DETAILS%|%PROTOCOL%'}
    - {name: X-Client, value: '%DOWNSTREAM_REMOTE_ADDRESS%|%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%'}
    - {name: X-Kept, value: '%RESP(nosuch)%'}
    addIfAbsent: [{name: X-Request-Id, value: '%REQ(X-REQUEST-ID)%'}]
"""
COMMANDS = {release: Group(f"commands {release.value}", release, _COMMANDS) for release in Release}
_FILTER_LEAVES = (
    "set[].name", "set[].value", "add[].name", "add[].value", "addIfAbsent[].name", "addIfAbsent[].value", "remove[]",
    "removeOnMatch[].type", "removeOnMatch[].value",
)  # fmt: skip
EARLY_FIELDS = tuple(f"spec.headers.earlyRequestHeaders.{leaf}" for leaf in _FILTER_LEAVES)
LATE_FIELDS = tuple(f"spec.headers.lateResponseHeaders.{leaf}" for leaf in _FILTER_LEAVES)


def _headers() -> Iterator[Case]:
    underscored = {
        "name": get(b"X_Y: 1", b"A: 2", b"x_y: 3"),
        "bad value": get(b"X_Y: a\x01"),
        "like content-length": get(b"Content_Length: 5"),
        "nominated": get(b"Connection: x_y", b"x_y: 1"),
        "99 and one": get(b"x_y: 1", *(b"x%d: 1" % number for number in range(99))),
        "101": get(*(b"x%d: 1" % number for number in range(100))),
        "a hundred": get(*(b"x_%d: 1" % number for number in range(100))),
        "trailer": chunked(trailers=b"x_y: 1\r\n"),
    }
    for action, group in UNDERSCORES.items():
        for name, request in underscored.items():
            field = "spec.headers.withUnderscoresAction"
            yield Case(f"underscores/{action}/{name}", group, (request,), fields=(field,))
        yield Case(f"underscores/{action}/response", group, (get(),), script=reply(b"X_Y: 1"))
    certificates = {
        "none": (),
        "one": (b"X-Forwarded-Client-Cert: By=me;Hash=1",),
        "two": (b"X-Forwarded-Client-Cert: a", b"X-Forwarded-Client-Cert: b"),
        "empty": (b"X-Forwarded-Client-Cert:",),
    }
    fields = tuple(f"spec.headers.xForwardedClientCert.{leaf}" for leaf in ("mode", "certDetailsToAdd[]"))
    for mode, group in CLIENT_CERT.items():
        for name, lines in certificates.items():
            yield Case(f"client certificate/{mode}/{name}", group, (get(*lines),), fields=fields)
    uuid = b"77fb2875-4bf3-%b9dc-9de6-54d4710eb83c"
    ids = {"none": None, "empty": b"", "text": b"mine", "of a trace": uuid % b"9", "a UUID": uuid % b"4"}
    for value, group in REQUEST_ID.items():
        for peer, source in {"outside": b"203.0.113.7", "inside": b"10.1.2.3"}.items():
            for name, sent in ids.items():
                request = proxied(source) + get(*([] if sent is None else [b"X-Request-Id: " + sent]))
                fields = ("spec.headers.requestID",)
                yield Case(f"request id/{value}/{peer} {name}", group, (request,), fields=fields)
    for value, group in PRESERVE_ID.items():
        for name in ("none", "text"):
            sent = ids[name]
            request = get(*([] if sent is None else [b"X-Request-Id: " + sent]))
            fields = ("spec.headers.preserveXRequestID",)
            yield Case(f"request id/preserveXRequestID {value}/{name}", group, (request,), fields=fields)
    yield Case("rate limit headers", RATE_LIMIT, (get(),), fields=("spec.headers.disableRateLimitHeaders",))
    hosts = {
        "name": b"www.example.com.", "two dots": b"www.example.com..", "port": b"www.example.com.:8080",
        "empty port": b"www.example.com.:", "capitals": b"WWW.Example.COM.:80", "none": b"www.example.com",
        "dot": b".", "dots": b"..", "IPv6": b"[::1].", "a dot inside": b"www.example.com.x",
    }  # fmt: skip
    fields = ("spec.headers.host.stripTrailingHostDot",)
    for name, host in hosts.items():
        yield Case(f"host dot/{name}", HOST_DOT, (get(host=host),), fields=fields)
        yield Case(f"host dot/any host/{name}", HOST_DOT_ANY, (get(host=host),), fields=fields)
    yield Case("host dot/absolute form", HOST_DOT, (get(path=b"http://www.example.com./x", host=b"x"),), fields=fields)
    yield Case("host dot/websocket", HOST_DOT, (get(*WEBSOCKET, host=b"www.example.com."),), fields=fields)
    for group, limit in ((LIMIT_1K, 1024), (LIMIT_96K, 98_304)):
        for over in (-1, 0, 1):
            request = get(b"x: ")
            request = request.replace(b"x: ", b"x: " + b"y" * (limit - len(request) + over))
            name = f"header limit/{limit} and {over}"
            yield Case(name, group, (request,), fields=("spec.headers.maxRequestHeaderLimit",), quiet=1.5)
    for over in (-1, 0):
        unfinished = get()[:-4] + b"\r\nx: "
        unfinished += b"y" * (1024 - len(unfinished) + over)
        yield Case(f"header limit/unfinished and {over}", LIMIT_1K, (unfinished,), quiet=0.6)
    for size in (32_768, 32_769):
        request = get(b"x: ")
        request = request.replace(b"x: ", b"x: " + b"y" * (size - len(request)))
        yield Case(f"header limit/{size} at once", LIMIT_1K, (request,), quiet=1.5)
    yield Case("header limit/at once far over", LIMIT_1K, (get(b"x: " + b"y" * 80_000),), quiet=1.5)


def _mutations() -> Iterator[Case]:
    sent = (
        b"X-Add: c", b"X-Set: c", b"X-Both: c", b"X-Absent: c", b"X-Remove: c", b"X-REMOVE-too: c", b"X-Exact: c",
        b"X-Exactly: c", b"X-Prefix-1: c", b"Y-Prefix-: c", b"a-Suffix: c", b"X-Re12: c", b"X-Re: c", b"Vary: c",
        b"Accept: c", b"User-Agent: c", b"Cache-Control: c", b"X-Set: d", b"X-Last: c",
    )  # fmt: skip
    for release, group in EARLY.items():
        name = f"early headers/{release.value}"
        yield Case(f"{name}/all", group, (get(*sent),), fields=EARLY_FIELDS)
        yield Case(f"{name}/none", group, (get(),), fields=EARLY_FIELDS)
        yield Case(f"{name}/empty values", group, (get(b"X-Add:", b"X-Absent:", b"Vary:"),), fields=EARLY_FIELDS)
        yield Case(f"{name}/with a body", group, (get(*sent, b"Content-Length: 2", method=b"POST") + b"ab",))
        yield Case(f"{name}/redirect", group, (get(*sent, path=b"/a%2fb"),))
        yield Case(f"{name}/no host", group, (get(*sent, host=b""),))
        yield Case(f"{name}/websocket", group, (get(*sent, *WEBSOCKET), 0.1, b"ping"), script=TUNNEL, responses=9)
    for peer in (b"203.0.113.7", b"10.1.2.3"):
        name = f"early headers/that Envoy reads/{peer.decode()}"
        yield Case(f"{name}/none", EARLY_SPECIAL, (proxied(peer) + get(),), addresses=True)
        own = (
            b"X-Forwarded-For: 1.1.1.1",
            b"Via: c",
            b"Cookie: c=1",
            b"X-Request-Id: c",
            b"Content-Type: c",
            b"Expect: y",
        )
        yield Case(f"{name}/some", EARLY_SPECIAL, (proxied(peer) + get(*own),), addresses=True)
    answers: dict[str, tuple[bytes, Script]] = {
        "all": (get(), reply(*sent)),
        "none": (get(), reply()),
        "no route's": (get(path=b"*", method=b"OPTIONS"), Script()),
        "redirect": (get(path=b"/a%2fb"), Script()),
        "no host": (get(host=b""), Script()),
        "codec's": (get(method=b"FOO"), Script()),
        "426": (get_10(), Script()),
        "431": (get(b"x: " + b"y" * 61_440), Script()),
        "path's": (get(path=b"/a%00"), Script()),
        "upgrade's": (get(b"Connection: Upgrade", b"Upgrade: foo"), Script()),
        "503": (get(), Script((), then="close")),
        "503 and close": (get(b"Connection: close"), Script((), then="close")),
        "503 gRPC": (get(b"Content-Type: application/grpc"), Script((), then="close")),
        "bad chunk": (get(b"Transfer-Encoding: chunked", method=b"POST") + b"zz\r\n", Script()),
        "204": (get(), Script((b"HTTP/1.1 204 No Content\r\nX-Set: b\r\n\r\n",))),
        "chunked": (get(), Script((CHUNKED_REPLY + b"\r\n",))),
        "until close": (get(), Script((b"HTTP/1.1 200 OK\r\nX-Add: b\r\n\r\nok",), then="close")),
        "100": (get(b"Expect: 100-continue", b"Content-Length: 1", method=b"POST") + b"a", Script()),
        "twice": (get() + get(), reply(b"Server: b", b"Date: then", b"Etag: t", b"Location: /l", b"Content-Type: c")),
        "of a backend": (get(), reply(b"Server: b", b"Date: then", b"X-Envoy-Upstream-Service-Time: 1", b"Etag: t")),
    }
    for kind, groups in (("", LATE), ("that Envoy writes/", LATE_SPECIAL), ("taken out/", LATE_REMOVES)):
        for release, group in groups.items():
            for name, (request, script) in answers.items():
                count = 2 if name == "twice" else 1
                full = f"late headers/{kind}{release.value}/{name}"
                yield Case(full, group, (request,), script=script, fields=LATE_FIELDS, responses=count)
            full = f"late headers/{kind}{release.value}/HEAD"
            head = Script((b"HTTP/1.1 200 OK\r\n\r\n",))
            yield Case(full, group, (get(method=b"HEAD"),), script=head)
            full = f"late headers/{kind}{release.value}/101"
            yield Case(full, group, (get(*WEBSOCKET), 0.1, b"ping"), script=TUNNEL, responses=9)


def _commands() -> Iterator[Case]:
    sent = (
        b"X-M: one", b"X-M: two", b"X-Missing: c", b"X-Kept: c", b"Via: c", b"X-Empty:", b"X-Forwarded-For: 9.9.9.9",
        b"X-Envoy-Retry-On: 5xx", b"X-Forwarded-Proto: https",
    )  # fmt: skip
    scripts = {
        "answered": reply(b"A: 1", b"A: 2", b"X-Missing: b", b"X-Kept: b", b"Server: be", b"Date: then"),
        "503": Script((), then="close"),
    }
    requests = {
        "all": proxied() + get(*sent, path=b"/p?q=1"),
        "nothing sent": proxied(b"2001:db8::7") + get(),
        "inside": proxied(b"10.1.2.3") + get(b"X-Forwarded-For: 10.9.9.9", b"Content-Length: 1", method=b"POST") + b"a",
    }
    refused = {
        "redirect": get(*sent, path=b"/a%2fb"), "no host": get(*sent, host=b""), "codec's": get(*sent, method=b"FOO"),
        "upgrade": get(*sent, b"Connection: Upgrade", b"Upgrade: foo"),
        "no route": get(*sent, path=b"*", method=b"OPTIONS"),
        "431": get(b"x: " + b"y" * 61_440), "bad chunk": get(b"Transfer-Encoding: chunked", method=b"POST") + b"zz\r\n",
    }  # fmt: skip
    for release, group in COMMANDS.items():
        for name, request in requests.items():
            for how, script in scripts.items():
                full = f"commands/{release.value}/{name}, {how}"
                yield Case(full, group, (request,), script=script, fields=(*EARLY_FIELDS, *LATE_FIELDS))
        for name, request in refused.items():
            yield Case(f"commands/{release.value}/{name}", group, (proxied() + request,))


# -- path, scheme ----------------------------------------------------------------------------------------------

ESCAPED = {
    action: Group(f"escaped slashes {action}", spec=f"path: {{escapedSlashesAction: {action}}}")
    for action in ("KeepUnchanged", "RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect")
}
UNMERGED = {
    value: Group(
        f"disableMergeSlashes {value}",
        V0_6,
        f"path: {{disableMergeSlashes: {value}, escapedSlashesAction: KeepUnchanged}}",
    )
    for value in ("true", "false")
}
UNMERGED_UNESCAPED = Group(
    "disableMergeSlashes, unescaped", spec="path: {disableMergeSlashes: true, escapedSlashesAction: UnescapeAndForward}"
)
SCHEME = {
    value: Group(
        f"scheme {value}", release, f"scheme: {value}\nclientIPDetection: {{xForwardedFor: {{numTrustedHops: 1}}}}"
    )
    for value, release in (("MatchBackend", Release.V1_9), ("Preserve", V0_6))
}


def _paths() -> Iterator[Case]:
    paths = {
        "slash": b"/a%2Fb?q=%2F", "backslash": b"/a%5cb", "both": b"/%2f%5C/x", "none": b"/a/b?q=%2f",
        "with dots": b"/a%2f..%2fb", "encoded percent": b"/a%252fb", "at the end": b"/a%2F", "at the front": b"/%2F/a",
        "slashes": b"//a///b//", "slashes and dots": b"/a//../b/.//c", "two slashes": b"//",
        "raw backslashes": b"/a\\\\b",
        "a query's": b"/a?x=//%2f", "fragment": b"/a%2fb#c",
    }  # fmt: skip
    groups = [(group, "spec.path.escapedSlashesAction") for group in ESCAPED.values()]
    groups += [(group, "spec.path.disableMergeSlashes") for group in (*UNMERGED.values(), UNMERGED_UNESCAPED)]
    for group, field in groups:
        for name, path in paths.items():
            yield Case(f"path/{group.name}/{name}", group, (get(path=path),), fields=(field,))
    for group in SCHEME.values():
        for name, lines in {"none": (), "https": (b"X-Forwarded-Proto: https",)}.items():
            yield Case(f"{group.name}/{name}", group, (get(*lines),), fields=("spec.scheme",))
        yield Case(f"{group.name}/absolute form", group, (get(path=b"http://a.example/x"),), fields=("spec.scheme",))


def http_field_cases() -> Iterable[Case]:
    """All of them."""
    return [case for part in (_client_ip, _headers, _mutations, _commands, _paths) for case in part()]
