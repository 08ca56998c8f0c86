"""Cases about HTTPRoutes: hosts, precedence, conditions, rewrites, redirects, weights, timeouts, endpoints.

A rule says which it is in a response header, ``x-rule``, where it is about which rule takes a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.inputs import WEBSOCKET
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.conformance.route_rules import (
    BACKEND,
    GRPC,
    MANY_OF_RESPONSES,
    NOWHERE,
    OF_BACKEND,
    full,
    get,
    http_route,
    named,
    path,
    prefix,
    redirect,
    response_headers,
    rewrite,
    rule,
)
from pyproxy.policy.release import Release

# -- hosts -------------------------------------------------------------------------------------------------------------

HOSTS = Group(
    "routes: hosts",
    routes=http_route("exact", rule(path("/"), named("exact")), hostnames="a.example")
    + http_route("wild", rule(path("/"), named("wild")), hostnames="'*.example'")
    + http_route("wilder", rule(path("/only"), named("deeper")), hostnames="'*.b.example'"),
)
EVERY_HOST = Group(
    "routes: every host",
    routes=http_route("one", rule(path("/"), named("one")), hostnames="a.example")
    + http_route("all", rule(path("/"), named("all"))),
)
LISTENERS = Group(
    "routes: listeners on one port",
    listener_hostnames=("", "*.example", "a.example"),
    routes=http_route("first", rule(path("/"), named("first")), hostnames="a.example, b.example, c.test")
    + http_route("second", rule(path("/"), named("second")), sections=("lane%(lane)d-1",))
    + http_route("third", rule(path("/"), named("third")), sections=("lane%(lane)d-2",), hostnames="'*.example'")
    + http_route(
        "two",
        rule(path("/two"), named("two")),
        sections=("lane%(lane)d-1", "lane%(lane)d-2"),
        hostnames="x.example, a.example",
    ),
)


def _hosts() -> Iterator[Case]:
    for host in (
        b"a.example", b"A.Example:8080", b"b.example", b"x.y.example", b"x.b.example", b"example", b".example",
        b"a.example.", b"other", b"a.example:", b"a.example:x", b"a.example:80:90", b"[::1]:",
    ):  # fmt: skip
        yield Case(f"routes/hosts/{host.decode()}", HOSTS, (get("/", host=host),))
    yield Case("routes/hosts/no way back to a wider wildcard", HOSTS, (get("/else", host=b"x.b.example"),))
    yield Case("routes/hosts/the longer wildcard", HOSTS, (get("/only/x", host=b"x.y.b.example"),))
    for host in (b"a.example", b"b.example", b"[::1]:80", b"192.0.2.1"):
        yield Case(f"routes/hosts/all/{host.decode()}", EVERY_HOST, (get("/", host=host),))
    for host in (b"a.example", b"b.example", b"c.test", b"x.example", b"other.test", b"x.y.example"):
        for where in ("/", "/two"):
            yield Case(f"routes/listeners/{host.decode()} {where}", LISTENERS, (get(where, host=host),))


# -- conditions and their order ----------------------------------------------------------------------------------------

PATHS = Group(
    "routes: paths",
    routes=http_route(
        "paths",
        rule(path("/"), named("root")),
        rule(path("/a"), named("a")),
        rule(path("/a/b/"), named("a/b")),
        rule(path("/a/b", "Exact"), named("exactly a/b")),
        rule(path("/a/b/", "Exact"), named("exactly a/b/")),
        rule(path("/r/[0-9]+", "RegularExpression"), named("digits")),
        rule(path("/r/[0-9]+x?", "RegularExpression"), named("longer regex")),
        rule(path("/r/7", "Exact"), named("exactly 7")),
        rule(path("/a/.*z", "RegularExpression"), named("regex before prefix")),
        rule(path("/(?i)case", "RegularExpression"), named("any case")),
        rule(path("/%%41"), named("escaped")),
        rule(path("/a.b+c"), named("not a pattern")),
    ),
)
CONDITIONS = Group(
    "routes: conditions",
    routes=http_route(
        "headers",
        rule(path("/h"), named("none")),
        rule(path("/h", more=", headers: [{name: X-A, value: one}]"), named("one header")),
        rule(path("/h", more=", headers: [{name: X-A, value: one}, {name: X-B, value: two}]"), named("two headers")),
        rule(path("/h", more=", headers: [{name: X-A, type: RegularExpression, value: 'o.e'}]"), named("regex header")),
        rule(path("/h", more=", method: POST"), named("method")),
        rule(path("/h", more=", headers: [{name: X-C, value: c}], method: PUT"), named("method and header")),
        rule(path("/h/longer"), named("longer path")),
    )
    + http_route(
        "parameters",
        rule(path("/q"), named("none")),
        rule(path("/q", more=", queryParams: [{name: a, value: one}]"), named("one parameter")),
        rule(path("/q", more=", queryParams: [{name: a, value: one}, {name: b, value: '2'}]"), named("two parameters")),
        rule(path("/q", more=", queryParams: [{name: a, type: RegularExpression, value: 'o.*'}]"), named("regex")),
        rule(
            path("/q", more=", queryParams: [{name: a, value: one}], headers: [{name: X-A, value: a}]"), named("both")
        ),
        rule(path("/q", more=", queryParams: [{name: e, type: RegularExpression, value: '.*'}]"), named("any value")),
        rule(path("/x", "Exact", more=", queryParams: [{name: a, value: one}]"), named("exact path")),
    ),
)
_SEEN = {
    "host": "h.example",
    "x-forwarded-proto": "http",
    "x-forwarded-for": ".+",
    "x-request-id": ".+",
    "x-envoy-internal": "true",
    "x-envoy-external-address": ".+",
    "x-envoy-retry-on": "5xx",
    "x-envoy-expected-rq-timeout-ms": ".+",
    "x-forwarded-client-cert": ".+",
    "connection": ".+",
    "upgrade": ".+",
    "transfer-encoding": "chunked",
    "content-length": "[0-9]",
    "te": ".+",
    "keep-alive": ".+",
    "cookie": "b=2",
    "accept": "a,b",
    "x-two": "two",
    "x-joined": "one,two",
    "x-empty": ".*",
    "x-latin": "caf.*",
}
SEEN = Group(
    "routes: what conditions see",
    routes="".join(
        http_route(
            f"seen{number}",
            rule(
                path(f"/{name}", more=f", headers: [{{name: {name}, type: RegularExpression, value: '{value}'}}]"),
                named(name),
            ),
        )
        for number, (name, value) in enumerate(_SEEN.items())
    ),
)
SEEN_GUIDE = replace(SEEN, name="routes: what conditions see, v0.6", release=Release.V0_6)
AGES = Group(
    "routes: the same match twice",
    routes=http_route("b", rule(path("/"), named("b")), rule(path("/same"), named("b")))
    + http_route("a", rule(path("/"), named("a")), rule(path("/"), named("a again")))
    + http_route("z", rule(path("/same"), named("oldest")), created="2020-01-01T00:00:00Z")
    + http_route("y", rule(path("/same"), named("old")), created="2021-01-01T00:00:00Z"),
)


def _conditions() -> Iterator[Case]:
    for where in (
        "/", "/?x", "/x", "/a", "/a/", "/ab", "/a?b", "/a/b", "/a/b/", "/a/b?x", "/a/b/c", "/a/bc", "/a//b", "/a/./b",
        "/r/7", "/r/8", "/r/8?x", "/r/8x", "/r/", "/r/8/", "/a/xyz", "/CaSe", "/A", "/%41", "/a.b+c", "/a.bbc",
    ):  # fmt: skip
        yield Case(f"routes/paths/{where}", PATHS, (get(where),))
    one, two, other = b"X-A: one", b"X-B: two", b"X-C: c"
    for name, lines in {
        "none": (), "one": (one,), "capitals": (b"x-a: ONE",), "blanks": (b"X-A: \t one ",), "both": (two, one),
        "second line": (b"X-A: zero", one), "regex": (b"X-A: ore",), "regex, whole value": (b"X-A: one more",),
    }.items():  # fmt: skip
        yield Case(f"routes/headers/{name}", CONDITIONS, (get("/h", *lines),))
    yield Case("routes/headers/method", CONDITIONS, (get("/h", method=b"POST"),))
    yield Case("routes/headers/method or header", CONDITIONS, (get("/h", one, method=b"POST"),))
    yield Case("routes/headers/method and header", CONDITIONS, (get("/h", other, method=b"PUT"),))
    yield Case("routes/headers/method without its header", CONDITIONS, (get("/h", method=b"PUT"),))
    yield Case("routes/headers/longer path", CONDITIONS, (get("/h/longer", one, two),))
    for query in (
        "", "?a=one", "?a=two&a=one", "?a=one&a=two", "?b=2&a=one", "?a=on%65", "?A=one", "?a=ooo", "?a", "?x?a=one",
        "?a=one=two", "?a=one&", "?e", "?e=", "?&e&", "?e=%zz", "?e=%ff",
    ):  # fmt: skip
        yield Case(f"routes/parameters/{query or 'none'}", CONDITIONS, (get(f"/q{query}"),))
    yield Case("routes/parameters/and a header", CONDITIONS, (get("/q?a=one", b"X-A: a"),))
    yield Case("routes/parameters/of an exact path", CONDITIONS, (get("/x?a=one"),))
    yield Case("routes/parameters/an exact path without", CONDITIONS, (get("/x"),))
    for where in ("/", "/same"):
        yield Case(f"routes/ages/{where}", AGES, (get(where),))
    lines = (
        b"X-Forwarded-Proto: https", b"X-Envoy-Internal: true", b"X-Envoy-Retry-On: 5xx", b"X-Request-Id: mine",
        b"X-Envoy-Expected-Rq-Timeout-Ms: 3", b"X-Forwarded-Client-Cert: x", b"TE: trailers", b"Keep-Alive: 5",
        b"Cookie: a=1", b"Cookie: b=2", b"Accept: a", b"Accept: b", b"X-Two: one", b"X-Two: two", b"X-Joined: one",
        b"X-Joined: two", b"X-Empty:", b"X-Latin: caf\xe9",
    )  # fmt: skip
    for name in _SEEN:
        for group, release in ((SEEN, "v1.9"), (SEEN_GUIDE, "v0.6")):
            framing = {
                "transfer-encoding": (b"Transfer-Encoding: chunked",),
                "content-length": (b"Content-Length: 0",),
                "connection": WEBSOCKET,
                "upgrade": WEBSOCKET,
            }.get(name, ())
            body = b"0\r\n\r\n" if name == "transfer-encoding" else b""
            request = get(f"/{name}", *lines, *framing) + body
            yield Case(f"routes/seen/{release}/{name}", group, (request,))
            yield Case(f"routes/seen/{release}/no {name}", group, (get(f"/{name}"),))


# -- rewrites and redirects --------------------------------------------------------------------------------------------

REWRITES = Group(
    "routes: rewrites",
    routes=http_route(
        "rewrites",
        rule(path("/full"), rewrite(full("/new"))),
        rule(path("/query"), rewrite(full("/new?a=b"))),
        rule(path("/nothing"), rewrite(full(""))),
        rule(path("/prefix"), rewrite(prefix("/new"))),
        rule(path("/slash/"), rewrite(prefix("/new/"))),
        rule(path("/strip"), rewrite(prefix("/"))),
        rule(path("/strips/"), rewrite(prefix("/"))),
        rule(path("/empty"), rewrite(prefix(""))),
        rule(path("/a+b"), rewrite(prefix("/"))),
        rule(path("/exact", "Exact"), rewrite(full("/new"))),
        rule(path("/r/.*", "RegularExpression"), rewrite(full("/new"))),
        rule(path("/host"), rewrite("hostname: new.example")),
        rule(path("/both"), rewrite("hostname: new.example, " + prefix("/new"))),
        rule(path("/of-backend"), rewrite("hostname: new.example"), to=OF_BACKEND),
    )
    + http_route("root", rule(path("/"), rewrite(prefix("/new"))), hostnames="root.example")
    + http_route("roots", rule(path("/"), rewrite(prefix("/"))), hostnames="roots.example"),
)
REWRITES_GUIDE = replace(REWRITES, name="routes: rewrites, v0.6", release=Release.V0_6)
REDIRECTS = Group(
    "routes: redirects",
    routes=http_route(
        "redirects",
        *(
            rule(path(f"/{status}"), redirect(f"statusCode: {status}, scheme: http"), to="")
            for status in (301, 302, 303, 307, 308)
        ),
        rule(path("/default"), redirect("scheme: https"), to=""),
        rule(path("/port"), redirect("port: 8443"), to=""),
        rule(path("/port80"), redirect("port: 80, scheme: https"), to=""),
        rule(path("/host"), redirect("hostname: new.example, scheme: http"), to=""),
        rule(path("/full"), redirect("scheme: http, " + full("/new")), to=""),
        rule(path("/query"), redirect("scheme: http, " + full("/new?a=b")), to=""),
        rule(path("/relative"), redirect("scheme: http, " + full("new")), to=""),
        rule(path("/prefix"), redirect("scheme: http, " + prefix("/new")), to=""),
        rule(path("/slash/"), redirect("scheme: http, " + prefix("/new/")), to=""),
        rule(path("/strip"), redirect("scheme: http, " + prefix("/")), to=""),
    )
    + http_route("root", rule(path("/"), redirect("scheme: http, " + prefix("/new")), to=""), hostnames="root.example"),
)
REDIRECTS_GUIDE = replace(REDIRECTS, name="routes: redirects, v0.6", release=Release.V0_6)
REDIRECTS_BEHIND = replace(
    REDIRECTS, name="routes: redirects behind a proxy", spec="clientIPDetection: {xForwardedFor: {numTrustedHops: 1}}"
)


def _rewrites() -> Iterator[Case]:
    for group, release in ((REWRITES, "v1.9"), (REWRITES_GUIDE, "v0.6")):
        at = f"routes/rewrites/{release}"
        for where in (
            "/full", "/full/x?y", "/query", "/query?y", "/nothing/x?y", "/prefix", "/prefix/", "/prefix/x?y",
            "/prefix?y", "/slash", "/slash/x", "/strip", "/strip/", "/strip/x/?y", "/strip?y", "/strips", "/strips/x",
            "/empty/x", "/a+b/c", "/exact?y", "/r/x?y", "/host/x?y", "/both/x?y", "/of-backend",
        ):  # fmt: skip
            yield Case(f"{at}{where}", group, (get(where),))
        for where in ("/", "/x?y"):
            yield Case(f"{at}/root {where}", group, (get(where, host=b"root.example"),))
            yield Case(f"{at}/roots {where}", group, (get(where, host=b"roots.example"),))
        yield Case(f"{at}/host/x without a host", group, (get("/host/x", host=b""),))
        for sent in (b"before", b"before, h.example", b"before,h.example", b"h.example", b"", b"h.example,"):
            request = get("/host", b"X-Forwarded-Host: " + sent, b"X-Last: 1")
            yield Case(f"{at}/x-forwarded-host {sent.decode()}", group, (request,))
        lines = (b"X-Envoy-Original-Path: /mine", b"X-Envoy-Original-Host: mine", b"X-Last: 1")
        yield Case(f"{at}/the original path and host are sent", group, (get("/both/x", *lines),))
        yield Case(f"{at}/host with a port", group, (get("/host", host=b"h.example:8080"),))


def _redirects() -> Iterator[Case]:
    for group, release in ((REDIRECTS, "v1.9"), (REDIRECTS_GUIDE, "v0.6")):
        at = f"routes/redirects/{release}"
        for where in (
            "/301", "/302", "/303", "/307", "/308", "/default/x?y", "/port/x", "/port80", "/host/x?y", "/full/x?y",
            "/query/x?y", "/relative/x?y", "/prefix", "/prefix/x?y", "/slash", "/slash/x", "/strip", "/strip/x?y",
        ):  # fmt: skip
            yield Case(f"{at}{where}", group, (get(where),))
        for host in (b"H.example:80", b"h.example:443", b"h.example:8080", b"[::1]", b"[::1]:80"):
            for where in ("/301", "/default", "/port", "/host"):
                yield Case(f"{at}{where} from {host.decode()}", group, (get(where, host=host),))
        yield Case(f"{at}/root", group, (get("/x?y", host=b"root.example"),))
        yield Case(f"{at}/HEAD", group, (get("/301", method=b"HEAD"),))
        yield Case(f"{at}/with a body", group, (get("/301", b"Content-Length: 3", method=b"POST") + b"abc",))
        yield Case(f"{at}/keep-alive", group, (get("/301"), 0.05, get("/302")), responses=2)
        yield Case(f"{at}/upgrade", group, (get("/301", *WEBSOCKET),))
    for proto in (b"https", b"HTTPS", b"ftp", b"http"):
        for where in ("/default", "/port", "/301"):
            for host in (b"h.example", b"h.example:443"):
                name = f"routes/redirects/behind a proxy/{proto.decode()} {where} {host.decode()}"
                request = get(where, b"X-Forwarded-Proto: " + proto, host=host)
                yield Case(name, REDIRECTS_BEHIND, (request,))


# -- backends ----------------------------------------------------------------------------------------------------------


def _to(*weights: tuple[str, int]) -> str:
    return ", ".join(f"{ref[:-1]}, weight: {weight}}}" for ref, weight in weights)


_NAMED_BACKEND = (
    "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: lane%%(lane)d-%s}\nspec:\n"
    "  endpoints: [%s]\n"
)
_NO_NAME = BACKEND.replace("d}", "d-no-name}")
_LOOKED_UP = 1.5
"""Seconds after which names have been looked up; Envoy does that before it listens."""
BACKENDS = Group(
    "routes: backends",
    routes=http_route(
        "backends",
        rule(path("/two"), to=_to((BACKEND, 1), (BACKEND, 3))),
        rule(path("/zero"), to=_to((BACKEND, 0))),
        rule(path("/zero-and-one"), to=_to((BACKEND, 0), (BACKEND, 1))),
        rule(path("/none"), to=""),
        rule(path("/name"), to=BACKEND.replace("d}", "d-name}")),
        rule(path("/no-name"), to=_NO_NAME),
        rule(path("/mixed"), to=_to((BACKEND, 1_000_000), (_NO_NAME, 0))),
        rule(path("/mixed-kinds"), to=_to((BACKEND, 1), (BACKEND.replace("d}", "d-name}"), 1))),
        rule(path("/a-name-is-enough"), to=_to((BACKEND.replace("d}", "d-name}"), 1), (_NO_NAME, 1_000_000))),
        rule(path("/several"), to=BACKEND.replace("d}", "d-several}")),
        rule(path("/nowhere"), response_headers("set: [{name: a, value: b}]"), to=NOWHERE),
        rule(path("/nowhere-mostly"), to=_to((NOWHERE, 1_000_000), (BACKEND, 1))),
        rule(path("/nowhere-mostly-filtered"), MANY_OF_RESPONSES, to=_to((NOWHERE, 1_000_000), (OF_BACKEND, 1))),
        rule(path("/nowhere-hardly"), to=_to((NOWHERE, 1), (BACKEND, 1_000_000))),
    )
    + _NAMED_BACKEND % ("name", "{fqdn: {hostname: localhost, port: %(port)d}}")
    + _NAMED_BACKEND % ("no-name", "{fqdn: {hostname: no-such-name.invalid, port: 80}}")
    + _NAMED_BACKEND
    % ("several", "{ip: {address: 127.0.0.1, port: %(port)d}}, {ip: {address: 127.0.0.1, port: %(port)d}}"),
)
BACKENDS_GUIDE = replace(BACKENDS, name="routes: backends, v0.6", release=Release.V0_6)
TIMEOUTS = Group(
    "routes: timeouts",
    routes=http_route(
        "timeouts",
        rule(path("/request"), more=", timeouts: {request: 400ms}"),
        rule(path("/backend"), more=", timeouts: {request: 10s, backendRequest: 400ms}"),
        rule(path("/none"), more=", timeouts: {request: 0s}"),
        rule(path("/none-of-backend"), more=", timeouts: {request: 0s, backendRequest: 400ms}"),
        rule(path("/long"), more=", timeouts: {request: 2h}"),
    ),
)
TIMEOUTS_GUIDE = replace(TIMEOUTS, name="routes: timeouts, v0.6", release=Release.V0_6)


def _backends() -> Iterator[Case]:
    for group, release in ((BACKENDS, "v1.9"), (BACKENDS_GUIDE, "v0.6")):
        for where in (
            "two", "zero", "zero-and-one", "none", "name", "no-name", "mixed", "mixed-kinds", "a-name-is-enough",
            "several", "nowhere", "nowhere-mostly", "nowhere-mostly-filtered", "nowhere-hardly"
        ):  # fmt: skip
            yield Case(f"routes/backends/{release}/{where}", group, (_LOOKED_UP, get(f"/{where}")))
        for where in ("no-name", "nowhere-mostly", "nowhere"):
            at = f"routes/backends/{release}/{where}"
            head = get(f"/{where}", method=b"HEAD")
            yield Case(f"{at}, HEAD", group, (_LOOKED_UP, head))
            yield Case(f"{at}, upgrade", group, (_LOOKED_UP, get(f"/{where}", *WEBSOCKET)))
            yield Case(f"{at}, gRPC", group, (_LOOKED_UP, get(f"/{where}", GRPC)))
            owing = get(f"/{where}", b"Content-Length: 3", method=b"POST")
            yield Case(f"{at}, with a body", group, (_LOOKED_UP, owing + b"abc"))
            yield Case(f"{at}, without its body", group, (_LOOKED_UP, owing))


def _timeouts() -> Iterator[Case]:
    late = Script((OK_REPLY,), pauses=(0.8,))
    begun = Script((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",))
    for group, release in ((TIMEOUTS, "v1.9"), (TIMEOUTS_GUIDE, "v0.6")):
        for where in ("request", "backend", "none", "none-of-backend", "long"):
            at = f"routes/timeouts/{release}/{where}"
            yield Case(f"{at}, late", group, (get(f"/{where}"),), late, quiet=1.2)
            yield Case(f"{at}, in time", group, (get(f"/{where}"),))
        for where in ("request", "none"):
            yield Case(f"routes/timeouts/{release}/{where}, in the body", group, (get(f"/{where}"),), begun, quiet=1.2)
            slowly = (get(f"/{where}", b"Content-Length: 3", method=b"POST") + b"a", 0.7, b"bc")
            yield Case(f"routes/timeouts/{release}/{where}, slow request", group, slowly, quiet=1.2)


ROUTE_CASES: tuple[Case, ...] = (
    *_hosts(),
    *_conditions(),
    *_rewrites(),
    *_redirects(),
    *_backends(),
    *_timeouts(),
)
