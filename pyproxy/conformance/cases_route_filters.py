"""Cases about what the filters of a route and of its backends do to headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.inputs import SWITCH, WEBSOCKET
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.conformance.route_rules import (
    BACKEND,
    GRPC,
    MANY_OF_RESPONSES,
    OF_BACKEND,
    full,
    get,
    http_route,
    path,
    redirect,
    request_headers,
    response_headers,
    rewrite,
    rule,
)
from pyproxy.policy.release import Release

_MANY_OF_REQUESTS = request_headers(
    "add: [{name: X-Added, value: a}, {name: X-Two, value: three}, {name: x-forwarded-for, value: 1.2.3.4}, "
    "{name: accept, value: b}, {name: cookie, value: c=3}], "
    "set: [{name: User-Agent, value: me}, {name: x-request-id, value: mine}, {name: x-percent, value: '100%%%%'}, "
    "{name: x-forwarded-proto, value: https}, {name: x-envoy-internal, value: 'true'}, {name: x-ADDED, value: late}], "
    "remove: [x-gone, X-ENVOY-EXTERNAL-ADDRESS, x-never]"
)
_OF_ROUTE = (
    "add: [{name: x-both, value: route}, {name: x-a, value: a}], set: [{name: x-s, value: route}], remove: [x-b]"
)
_OF_REQUEST = (
    "%%REQ(:path)%%|%%REQ(:authority)%%|%%REQ(x-forwarded-proto)%%|%%REQ(x-a?x-b)%%|%%REQ(x-long):2%%|%%PROTOCOL%%"
)
_SAYS = "{name: x-%s, value: '%s'}"
_COMMANDS_OF_REQUEST = (
    f"set: [{_SAYS % ('a', 'set')}, {_SAYS % ('all', _OF_REQUEST)}, {_SAYS % ('gone', '%%REQ(x-never)%%')}], "
    f"add: [{_SAYS % ('all-later', _OF_REQUEST)}, {_SAYS % ('percent', '100%%%%')}, "
    f"{_SAYS % ('after', '%%RESPONSE_CODE%%|%%RESPONSE_FLAGS%%|%%UPSTREAM_HOST%%|%%RESP(a)%%')}, "
    f"{_SAYS % ('client', '%%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%%')}]"
)
_OF_RESPONSE = (
    f"{_OF_REQUEST}|%%RESPONSE_CODE%%|%%RESPONSE_CODE_DETAILS%%|%%RESPONSE_FLAGS%%|%%RESP(:status)%%|%%RESP(x-r)%%"
)
_COMMANDS_OF_RESPONSE = (
    f"set: [{_SAYS % ('all', _OF_RESPONSE)}, {_SAYS % ('gone', '%%REQ(x-never)%%')}], "
    f"add: [{_SAYS % ('all-later', _OF_RESPONSE)}, {_SAYS % ('r', 'of the route')}], remove: [x-r]"
)
FILTERS = Group(
    "routes: filters",
    routes=http_route(
        "headers",
        rule(path("/many"), _MANY_OF_REQUESTS, MANY_OF_RESPONSES),
        rule(path("/both"), request_headers(_OF_ROUTE), response_headers(_OF_ROUTE), to=OF_BACKEND),
        rule(path("/of-backend"), to=OF_BACKEND),
        rule(path("/date"), response_headers("set: [{name: date, value: never}], remove: [server]")),
        rule(path("/strip"), request_headers("remove: [x-forwarded-for, x-forwarded-proto, x-request-id, user-agent]")),
        rule(path("/time"), response_headers("remove: [x-envoy-upstream-service-time, date]")),
        rule(path("/none"), MANY_OF_RESPONSES, to=""),
        rule(path("/slow"), MANY_OF_RESPONSES, more=", timeouts: {request: 300ms}"),
        rule(path("/empty"), request_headers(""), response_headers("")),
        rule(path("/to"), redirect("hostname: other.example, scheme: http"), MANY_OF_RESPONSES, to=""),
        rule(path("/rewritten"), rewrite("hostname: new.example, " + full("/full")), _MANY_OF_REQUESTS),
        rule(
            path("/commands"),
            rewrite("hostname: new.example, " + full("/full")),
            request_headers(_COMMANDS_OF_REQUEST),
            response_headers(_COMMANDS_OF_RESPONSE),
            to=BACKEND.replace(
                "d}",
                f"d, filters: [{request_headers(_COMMANDS_OF_REQUEST)}, {response_headers(_COMMANDS_OF_RESPONSE)}]}}",
            ),
            more=", timeouts: {request: 300ms}",
        ),
        rule(path("/commands-none"), response_headers(_COMMANDS_OF_RESPONSE), to=""),
        rule(path("/commands-to"), redirect("scheme: https"), response_headers(_COMMANDS_OF_RESPONSE), to=""),
    ),
)
FILTERS_GUIDE = replace(FILTERS, name="routes: filters, v0.6", release=Release.V0_6)
_TIMES = "timeout: {http: {requestReceivedTimeout: 400ms, streamIdleTimeout: 700ms}}\n"
FILTERS_TIMES = replace(FILTERS, name="routes: filters and timeouts", spec=_TIMES + "healthCheck: {path: /many/health}")
FILTERS_LATE = replace(
    FILTERS,
    name="routes: filters and lateResponseHeaders",
    spec="headers: {lateResponseHeaders: {add: [{name: x-late, "
    "value: '%REQ(:path)%|%REQ(:authority)%|%REQ(x-added)%|'}, {name: x-added, value: late}], "
    "set: [{name: x-two, value: late}], remove: [set-cookie]}}",
)
FILTERS_REFUSED = replace(FILTERS, name="routes: filters, backend refuses", backend_listens=False)


def route_filter_cases() -> Iterator[Case]:
    """What filters make of headers: at which moment, in which order, and of which replies."""
    reply = (
        b"HTTP/1.1 200 OK\r\nX-Gone: 1\r\nX-R: r\r\nX-S: s\r\nX-Both: up\r\nX-Two: one\r\nServer: s\r\nVary: a\r\n"
        b"Etag: e\r\nSet-Cookie: a\r\nX-B: up\r\nContent-Length: 2\r\n\r\nok"
    )
    lines = (
        b"User-Agent: curl", b"Accept: a", b"X-Two: one", b"X-Two: two", b"X-Gone: 1", b"Cookie: a=1", b"X-Gone: 2",
        b"X-Both: client", b"X-R: r", b"X-B: client", b"X-S: client", b"X-Forwarded-Host: before", b"X-Last: 1",
    )  # fmt: skip
    script = Script((reply,))
    for group, release in ((FILTERS, "v1.9"), (FILTERS_GUIDE, "v0.6")):
        at = f"routes/filters/{release}"
        for where in ("many", "both", "of-backend", "date", "strip", "time", "empty", "rewritten"):
            yield Case(f"{at}/{where}", group, (get(f"/{where}", *lines),), script)
            yield Case(f"{at}/{where}, nothing to change", group, (get(f"/{where}"),))
        for where in ("none", "to", "commands-none", "commands-to"):
            yield Case(f"{at}/{where}", group, (get(f"/{where}"),))
            yield Case(f"{at}/{where}, HEAD", group, (get(f"/{where}", method=b"HEAD"),))
            yield Case(f"{at}/{where}, gRPC", group, (get(f"/{where}", GRPC),))
            yield Case(f"{at}/{where}, upgrade", group, (get(f"/{where}", *WEBSOCKET),))
        named = (b"X-R: r", b"X-B: b", b"X-Long: long", b"X-All: client")
        yield Case(f"{at}/commands", group, (get("/commands", *named),), script)
        yield Case(f"{at}/commands, upgrade", group, (get("/commands", *named, *WEBSOCKET),), script)
        yield Case(f"{at}/commands, timeout", group, (get("/commands", *named),), Script(()), quiet=1)
        yield Case(f"{at}/commands, reset", group, (get("/commands", *named),), Script((), then="reset"))
        slow = Script(())
        yield Case(f"{at}/timeout", group, (get("/slow"),), slow, quiet=1)
        yield Case(f"{at}/timeout, HEAD", group, (get("/slow", method=b"HEAD"),), slow, quiet=1)
        yield Case(f"{at}/timeout, gRPC", group, (get("/slow", GRPC),), slow, quiet=1)
        yield Case(f"{at}/reset", group, (get("/many"),), Script((), then="reset"))
        yield Case(f"{at}/bad response", group, (get("/many"),), Script((b"garbage\r\n\r\n",)))
        yield Case(
            f"{at}/bad chunk", group, (get("/many", b"Transfer-Encoding: chunked", method=b"POST") + b"xyz\r\n",)
        )
        yield Case(
            f"{at}/chunked",
            group,
            (get("/many", b"Transfer-Encoding: chunked", method=b"POST") + b"1\r\na\r\n0\r\n\r\n",),
        )
        yield Case(f"{at}/POST without a body", group, (get("/many", method=b"POST"),))
        yield Case(f"{at}/keep-alive", group, (get("/many"), 0.05, get("/both")), responses=2)
        yield Case(f"{at}/204", group, (get("/many"),), Script((b"HTTP/1.1 204 No Content\r\nx-gone: 1\r\n\r\n",)))
        tunnel = Script((SWITCH.replace(b"Upgrade: w", b"X-Gone: 1\r\nUpgrade: w"),), echo_tunnel=True)
        for where in ("many", "both", "rewritten"):
            steps = (get(f"/{where}", *lines, *WEBSOCKET), 0.1, b"ping")
            yield Case(f"{at}/websocket, {where}", group, steps, tunnel, responses=9)
        for status in (200, 204, 302, 399, 400, 500):
            refusal = (b"HTTP/1.1 %d X\r\n" % status) + reply.partition(b"\r\n")[2]
            for where in ("many", "empty"):
                name = f"{at}/websocket refused with {status}, {where}"
                yield Case(name, group, (get(f"/{where}", *WEBSOCKET),), Script((refusal,)))
    for where in ("many", "both"):
        yield Case(f"routes/filters/backend refuses/{where}", FILTERS_REFUSED, (get(f"/{where}"),))
    at, slow = "routes/filters/not the router's", Script((OK_REPLY,), pauses=(1.5,))
    chunked, sized = b"Transfer-Encoding: chunked", b"Content-Length: 3"
    for where in ("many", "rewritten", "empty", "none", "to"):
        for name, more in (("", ()), (", gRPC", (GRPC,))):
            begun = get(f"/{where}", chunked, *more, method=b"POST")
            yield Case(f"{at}/bad chunk, {where}{name}", FILTERS_TIMES, (begun + b"xyz\r\n",), slow, quiet=1)
            steps = (begun + b"1\r\na\r\n", 0.2, b"xyz\r\n")
            yield Case(f"{at}/late bad chunk, {where}{name}", FILTERS_TIMES, steps, slow, quiet=1)
            owing = (get(f"/{where}", sized, *more, method=b"POST"),)
            yield Case(f"{at}/request timeout, {where}{name}", FILTERS_TIMES, owing, slow, quiet=1)
            yield Case(f"{at}/idle, {where}{name}", FILTERS_TIMES, (get(f"/{where}", *more),), slow, quiet=1)
    for where in ("many", "rewritten", "none", "to"):
        yield Case(f"routes/filters/before lateResponseHeaders/{where}", FILTERS_LATE, (get(f"/{where}"),))
    yield Case(f"{at}/health check", FILTERS_TIMES, (get("/many/health"),))
    yield Case(f"{at}/no upgrade", FILTERS_TIMES, (get("/many", b"Connection: Upgrade", b"Upgrade: h2c"),))
    yield Case(f"{at}/CONNECT", FILTERS_TIMES, (b"CONNECT h.example:80 HTTP/1.1\r\nHost: h.example\r\n\r\n",))
