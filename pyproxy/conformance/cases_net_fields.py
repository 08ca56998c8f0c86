"""Cases of the fields that limit time, number and size: ``timeout``, ``connection``, ``healthCheck``.

Times are short, so that a case is over within a second or two. Those of a drain take Envoy's 5 s and the delayed
close; they start first and run beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.inputs import GET, V1_LINE, get
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.policy.release import Release
from pyproxy.settings import Cluster, HttpOptions, Listener, PathMatch, PathMatchType, Route, VirtualHost

_HTTP = "spec.timeout.http."
_LIMIT = "spec.connection.connectionLimit."

_SPEC = "timeout: {http: {requestHeadersReceivedTimeout: 500ms, requestReceivedTimeout: 1s}}"
RECEIVED = Group("v1.9 request timeouts", spec=_SPEC)
RECEIVED_GUIDE = Group("v0.6 request timeouts", Release.V0_6, _SPEC)
STREAM_IDLE = Group("v1.9 stream idle", spec="timeout: {http: {streamIdleTimeout: 500ms}}")
STREAM_IDLE_GUIDE = Group("v0.6 stream idle", Release.V0_6, "timeout: {http: {streamIdleTimeout: 500ms}}")
IDLE = Group("v1.9 idle", spec="timeout: {http: {idleTimeout: 300ms}}")
IDLE_ONCE = Group(
    "v0.6 idle, two requests",
    Release.V0_6,
    "timeout: {http: {idleTimeout: 300ms}}\nconnection: {connectionLimit: {maxRequestsPerConnection: 2}}",
)
NO_TIMEOUTS = Group(
    "v1.9 timeouts of 0s",
    spec="proxyProtocol: {optional: true}\ntimeout:\n"
    "  tcp: {connectionInspectionTimeout: 0s}\n"
    "  http: {requestHeadersReceivedTimeout: 0s, requestReceivedTimeout: 0s, idleTimeout: 0s, streamIdleTimeout: 0s}",
)
INSPECTION = Group("v1.9 inspection", spec="proxyProtocol: {}\ntimeout: {tcp: {connectionInspectionTimeout: 500ms}}")
INSPECTION_GUIDE = Group(
    "v0.6 inspection, optional",
    Release.V0_6,
    "proxyProtocol: {optional: true}\n"
    "timeout: {tcp: {connectionInspectionTimeout: 500ms}, http: {idleTimeout: 1200ms}}",
)

LIMITED = Group("v1.9 connection limit", spec="connection: {connectionLimit: {value: 2, closeDelay: 700ms}}")
LIMITED_AT_ONCE = Group(
    "v0.6 connection limit, no delay", Release.V0_6, "connection: {connectionLimit: {value: 1, closeDelay: 0s}}"
)
LIMITED_PROXY = Group(
    "v1.9 connection limit, PROXY",
    spec="proxyProtocol: {}\nconnection: {connectionLimit: {value: 1, closeDelay: 500ms}}",
)
_DURATION = "connection: {connectionLimit: {maxConnectionDuration: 500ms}}"
DURATION = Group("v1.9 connection duration", spec=_DURATION)
DURATION_GUIDE = Group("v0.6 connection duration", Release.V0_6, _DURATION)
DURATION_UNSAFE = Group(
    "v1.9 connection duration, unsafe", spec=_DURATION + "\nhttp1: {disableSafeMaxConnectionDuration: true}"
)
NO_DURATION = Group(
    "v1.9 durations of 0s", spec="connection: {connectionLimit: {maxConnectionDuration: 0s, maxStreamDuration: 0s}}"
)
COUNTED = Group("v1.9 two requests", spec="connection: {connectionLimit: {maxRequestsPerConnection: 2}}")
COUNTED_GUIDE = Group("v0.6 one request", Release.V0_6, "connection: {connectionLimit: {maxRequestsPerConnection: 1}}")
UNCOUNTED = Group(
    "v1.9 no requests",
    spec="connection: {bufferLimit: 0, connectionLimit: {maxRequestsPerConnection: 0, maxStreamDuration: 0s}}\n"
    "http1: {disableSafeMaxConnectionDuration: false}",
)
STREAM_DURATION = Group("v1.9 stream duration", spec="connection: {connectionLimit: {maxStreamDuration: 500ms}}")
STREAM_DURATION_GUIDE = Group(
    "v0.6 stream duration", Release.V0_6, "connection: {connectionLimit: {maxStreamDuration: 500ms}}"
)
BUFFERS = Group("v1.9 small buffers", spec="connection: {bufferLimit: 1, maxAcceptPerSocketEvent: 0}")
BUFFERS_GUIDE = Group(
    "v0.6 large buffers", Release.V0_6, "connection: {bufferLimit: 4294967295, maxAcceptPerSocketEvent: 100}"
)

HEALTH = Group(
    "v1.9 health check",
    spec="healthCheck: {path: /ready}\ntimeout: {http: {requestReceivedTimeout: 500ms}}\n"
    "connection: {connectionLimit: {maxRequestsPerConnection: 3}}",
)
HEALTH_GUIDE = Group("v0.6 health check", Release.V0_6, "healthCheck: {path: '/ready?x=1'}", hostname="www.example.com")

_CLUSTER = Cluster("backend", (), max_connections=1, max_pending_requests=1)
_ROUTE = Route("route", PathMatch(PathMatchType.PREFIX, "/"), ((_CLUSTER, 1),))
_LISTENER = Listener("default/eg/http", "", 0, 0, (VirtualHost("all", ("*",), (_ROUTE,)),))
BREAKERS = Group("v1.9 circuit breakers", listener=_LISTENER)
BREAKERS_GUIDE = Group(
    "v0.6 circuit breakers",
    listener=replace(_LISTENER, http=HttpOptions(server_name=b"envoy", suppress_envoy_headers=False)),
)
_PATIENT = replace(_ROUTE, clusters=((Cluster("backend", ()), 1),), idle_timeout=0.5)
ROUTE_IDLE = Group(
    "a route's own idle timeout",
    listener=replace(_LISTENER, virtual_hosts=(VirtualHost("all", ("*",), (_PATIENT,)),)),
)

POST = b"POST / HTTP/1.1\r\nHost: h.example\r\nContent-Length: 10\r\n\r\n"
UPGRADE = get(b"Connection: Upgrade", b"Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"
SILENT = Script(())
GRPC = get(b"Content-Type: application/grpc", b"Content-Length: 5", method=b"POST")


def _request_timeouts() -> Iterator[Case]:
    headers, request = (_HTTP + "requestHeadersReceivedTimeout",), (_HTTP + "requestReceivedTimeout",)
    for release, group in (("v1.9", RECEIVED), ("v0.6", RECEIVED_GUIDE)):
        heads = {
            "one byte": (b"G",),
            "a request line": (b"GET / HTTP/1.1\r\nHo",),
            "a blank line": (b"\r\n",),
            "bytes that drip": (b"GET", 0.2, b" / HT", 0.2, b"TP/1.1\r\n", 0.2, b"Host: a"),
            "a second request": (GET, 0.2, b"GET / HT"),
            "a second request, sent ahead": (GET + b"GET / HT",),
        }
        for name, steps in heads.items():
            yield Case(f"timeout/{release}/headers/{name}", group, steps, quiet=2, responses=2, fields=headers)
        bodies = {
            "nothing of it": (POST,),
            "bytes that drip": (POST + b"a", 0.3, b"b", 0.3, b"c", 0.3, b"d", 0.3, b"e"),
            "chunked": (get(b"Transfer-Encoding: chunked", method=b"POST") + b"5\r\nhello\r\n",),
            "of a gRPC request": (GRPC,),
            "expected": (get(b"Expect: 100-continue", b"Content-Length: 5", method=b"POST"),),
            "of a second request": (GET, 0.2, POST),
        }
        for name, steps in bodies.items():
            yield Case(f"timeout/{release}/body/{name}", group, steps, quiet=2, responses=2, fields=request)
    head = get(b"Content-Length: 5", method=b"HEAD")
    yield Case("timeout/body/of HEAD", RECEIVED, (head,), quiet=2, fields=request)
    yield Case("timeout/body/an upgrade", RECEIVED, (UPGRADE,), SILENT, quiet=2, fields=request)
    tunnel = Script((SWITCH,), echo_tunnel=True)
    yield Case("timeout/body/a tunnel", RECEIVED, (UPGRADE, 1.2, b"x"), tunnel, quiet=1, responses=9, fields=request)
    late = Script(pauses=(1.3,))
    yield Case("timeout/complete, a late answer", RECEIVED, (GET,), late, quiet=2, fields=(*headers, *request))
    yield Case("timeout/complete in pieces", RECEIVED, (GET[:9], 0.2, GET[9:]), fields=headers)
    early = Script((HALF,), at_head=True)
    yield Case("timeout/half answered, the body owed", RECEIVED, (POST,), early, quiet=1.4, fields=request)


def _stream_idle() -> Iterator[Case]:
    fields = (_HTTP + "streamIdleTimeout",)
    for release, group in (("v1.9", STREAM_IDLE), ("v0.6", STREAM_IDLE_GUIDE)):
        requests: dict[str, tuple[tuple[bytes | float, ...], Script]] = {
            "head": ((b"GET / HT",), Script()),
            "head that drips": ((b"GET", 0.3, b" / HTTP/1.1\r\n", 0.3, b"Host"), Script()),
            "body": ((POST + b"ab",), Script()),
            "body that drips": ((POST + b"ab", 0.3, b"c", 0.3, b"d", 0.3, b"e"), Script()),
            "answer": ((GET,), SILENT),
            "answer to close": ((get(b"Connection: close"),), SILENT),
            "answer to gRPC": ((get(b"Content-Type: application/grpc", method=b"POST"),), SILENT),
            "rest of the answer": ((GET,), Script((HALF,))),
            "upgrade": ((UPGRADE,), SILENT),
            "tunnel": ((UPGRADE, 0.2, b"a", 0.2, b"b", 0.2, b"c"), Script((SWITCH,), echo_tunnel=True)),
        }
        for name, (steps, script) in requests.items():
            responses = 9 if name == "tunnel" else 1
            yield Case(f"timeout/{release}/idle {name}", group, steps, script, responses, quiet=2, fields=fields)
    yield Case("timeout/idle answer, then the next", STREAM_IDLE, (GET, 0.7, GET), SILENT, 2, quiet=2, fields=fields)
    yield Case("timeout/idle between requests", STREAM_IDLE, (GET, 0.8, GET), responses=2, quiet=1, fields=fields)


def _idle() -> Iterator[Case]:
    fields = (_HTTP + "idleTimeout",)
    yield Case("idle/silent", IDLE, (), responses=1, quiet=2, fields=fields)
    yield Case("idle/a head begun", IDLE, (b"GET / HT",), quiet=1.5, fields=fields)
    yield Case("idle/used in time", IDLE, (GET, 0.12, GET, 0.12, GET, 0.12, GET), responses=4, fields=fields)
    slow = Script(pauses=(0.6,))
    yield Case("idle/a slow answer", IDLE, (GET, 0.1), slow, quiet=1, fields=fields)
    drains: dict[str, tuple[tuple[bytes | float, ...], Script]] = {
        "after a request": ((GET,), Script()),
        "after a redirect": ((get(path=b"/a%2fb"),), Script()),
        "a request in the drain": ((GET, 1, GET, 1, GET), Script()),
        "the last request in the drain": ((GET, 1, get(b"Connection: close")), Script()),
        "a bad path in the drain": ((GET, 1, get(path=b"/a#b")), Script()),
        "an answer over its end": ((GET, 5, GET), Script(pauses=(0, 1))),
        "a head over its end": ((GET, 5, GET[:5], 1, GET[5:]), Script()),
    }
    for name, (steps, script) in drains.items():
        yield Case(f"idle/drain, {name}", IDLE, steps, script, responses=9, quiet=7, fields=fields)
    yield Case("idle/drain, garbage", IDLE, (GET, 0.6, b"FOO / HTTP/1.1\r\n\r\n"), responses=2, quiet=1, fields=fields)
    counted = (*fields, _LIMIT + "maxRequestsPerConnection")
    yield Case("idle/drain, the last that may be", IDLE_ONCE, (GET, 0.6, GET), responses=2, quiet=1, fields=counted)
    zeros = (
        *(_HTTP + name for name in ("requestHeadersReceivedTimeout", "requestReceivedTimeout")),
        *(_HTTP + "idleTimeout", _HTTP + "streamIdleTimeout", "spec.timeout.tcp.connectionInspectionTimeout"),
    )
    for name, steps in {
        "silent": (),
        "a PROXY header begun": (V1_LINE[:9],),
        "a head begun": (b"GET / HT",),
        "a body": (POST,),
        "used late": (0.5, V1_LINE, 0.5, GET, 0.5, GET),
    }.items():
        yield Case(f"timeout/0s/{name}", NO_TIMEOUTS, steps, responses=2, quiet=0.8, fields=zeros)


def _inspection() -> Iterator[Case]:
    fields = ("spec.timeout.tcp.connectionInspectionTimeout",)
    for release, group in (("v1.9", INSPECTION), ("v0.6", INSPECTION_GUIDE)):
        for name, steps in {
            "silent": (),
            "one byte": (b"P",),
            "a header that drips": (V1_LINE[:7], 0.4, V1_LINE[7:20]),
            "a header in time": (0.2, V1_LINE[:7], 0.2, V1_LINE[7:], 0.4, GET),
        }.items():
            yield Case(f"inspection/{release}/{name}", group, steps, quiet=1.2, fields=fields)
    yield Case("inspection/the idle timeout begins behind it", INSPECTION_GUIDE, (0.4, V1_LINE), quiet=2, fields=fields)


def _connection_limit() -> Iterator[Case]:
    value, delay = _LIMIT + "value", _LIMIT + "closeDelay"
    for name, steps in {
        "silent": (),
        "a request": (GET,),
        "a request in the delay": (0.2, GET),
        "more than the buffer": (POST.replace(b"10", b"100000") + b"x" * 100_000,),
    }.items():
        yield Case(f"limit/{name}", LIMITED, steps, held=2, quiet=1.5, fields=(value, delay))
    yield Case("limit/half-close in the delay", LIMITED, (0.1,), held=2, half_close=True, quiet=1.5, fields=(delay,))
    yield Case("limit/not reached", LIMITED, (GET,), held=1, fields=(value,))
    yield Case("limit/no delay", LIMITED_AT_ONCE, (), held=1, quiet=1, fields=(value, delay))
    yield Case("limit/no delay, not reached", LIMITED_AT_ONCE, (GET,), fields=(value,))
    yield Case("limit/PROXY header owed", LIMITED_PROXY, (V1_LINE + GET,), held=3, fields=(value,))
    sent: dict[str, tuple[bytes | float, ...]] = {
        "with the PROXY header": (V1_LINE + GET,),
        "behind the PROXY header": (V1_LINE, 0.1, GET),
    }
    for name, steps in sent.items():
        yield Case(
            f"limit/a request {name}",
            LIMITED_PROXY,
            steps,
            held=1,
            held_send=V1_LINE,
            quiet=1.5,
            fields=(value, delay),
        )


def _connection_duration() -> Iterator[Case]:
    fields = (_LIMIT + "maxConnectionDuration",)
    unsafe = (*fields, "spec.http1.disableSafeMaxConnectionDuration")
    steps: dict[str, tuple[tuple[bytes | float, ...], Script, int]] = {
        "silent": ((), Script(), 1),
        "a request before and after": ((GET, 0.7, GET), Script(), 2),
        "two sent ahead after": ((GET, 0.7, GET + GET), Script(), 2),
        "an answer over it": ((GET,), Script(pauses=(0.8,)), 1),
        "a redirect after": ((GET, 0.7, get(path=b"/a%2fb")), Script(), 2),
        "a failure after": ((GET, 0.7, GET), Script((OK_REPLY, b"garbage\r\n\r\n")), 2),
    }
    for release, group in (("v1.9", DURATION), ("v0.6", DURATION_GUIDE)):
        for name, (sent, script, responses) in steps.items():
            yield Case(f"duration/{release}/{name}", group, sent, script, responses, quiet=1.5, fields=fields)
    begun = GET[:9], 0.7, GET[9:]
    yield Case("duration/a head over it", DURATION, begun, quiet=1, fields=fields)
    tunnel = Script((SWITCH,), echo_tunnel=True)
    yield Case("duration/a tunnel", DURATION, (UPGRADE, 0.7, b"x"), tunnel, responses=9, quiet=1, fields=fields)
    yield Case("duration/unsafe, silent", DURATION_UNSAFE, (), quiet=1.5, fields=unsafe)
    drains: dict[str, tuple[tuple[bytes | float, ...], Script]] = {
        "a request before": ((GET,), Script()),
        "an answer over it": ((GET,), Script(pauses=(0.8,))),
        "requests before and after": ((GET, 0.7, GET, 1, GET), Script()),
    }
    for name, (sent, script) in drains.items():
        yield Case(f"duration/unsafe, {name}", DURATION_UNSAFE, sent, script, responses=9, quiet=7, fields=unsafe)
    yield Case("duration/0s", NO_DURATION, (), quiet=1, fields=fields)


def _requests() -> Iterator[Case]:
    fields = (_LIMIT + "maxRequestsPerConnection",)
    yield Case("requests/two", COUNTED, (GET, 0.05, GET), responses=2, fields=fields)
    yield Case("requests/three sent ahead", COUNTED, (GET * 3,), responses=2, fields=fields)
    yield Case("requests/the second fails", COUNTED, (GET, 0.05, GET), Script((OK_REPLY, b"no")), 2, fields=fields)
    sent: dict[str, tuple[bytes, Script]] = {
        "a redirect": (get(path=b"/a%2fb"), Script()),
        "answered early": (POST, Script(at_head=True)),
        "an upgrade refused": (UPGRADE, Script()),
        "no request": (b"FOO / HTTP/1.1\r\n\r\n", Script()),
        "ordinary": (GET, Script()),
    }
    for name, (request, script) in sent.items():
        yield Case(f"requests/one, {name}", COUNTED_GUIDE, (request,), script, fields=fields)
    yield Case("requests/one, a tunnel", COUNTED_GUIDE, (UPGRADE,), Script((SWITCH,)), responses=9, fields=fields)
    zero = (*fields, _LIMIT + "maxStreamDuration")
    yield Case("requests/0", UNCOUNTED, (GET, 0.05, GET, 0.05, GET), responses=3, fields=zero)
    large = POST.replace(b"10", b"300000") + b"x" * 300_000
    yield Case("buffers/0", UNCOUNTED, (large,), fields=("spec.connection.bufferLimit",))


def _stream_duration() -> Iterator[Case]:
    fields = (_LIMIT + "maxStreamDuration",)
    requests: dict[str, tuple[tuple[bytes | float, ...], Script]] = {
        "head": ((b"GET", 0.3, b" / HTTP/1.1\r\n"), Script()),
        "body that drips": ((POST, 0.2, b"a", 0.2, b"b", 0.2, b"c"), Script()),
        "answer": ((GET,), SILENT),
        "answer to close": ((get(b"Connection: close"),), SILENT),
        "answer to gRPC": ((get(b"Content-Type: application/grpc", method=b"POST"),), SILENT),
        "body of gRPC": ((GRPC,), SILENT),
        "rest of the answer": ((GET,), Script((HALF,))),
        "upgrade": ((UPGRADE,), SILENT),
    }
    for release, group in (("v1.9", STREAM_DURATION), ("v0.6", STREAM_DURATION_GUIDE)):
        for name, (steps, script) in requests.items():
            yield Case(f"stream/{release}/{name}", group, steps, script, quiet=2, fields=fields)
    tunnel = Script((SWITCH,), echo_tunnel=True)
    sent = (UPGRADE, 0.1, b"a", 0.1, b"b")
    yield Case("stream/tunnel", STREAM_DURATION, sent, tunnel, responses=9, quiet=2, fields=fields)
    sent = (GET, 0.4, GET, 0.4, GET)
    yield Case("stream/one after the other", STREAM_DURATION, sent, responses=3, quiet=1, fields=fields)
    sent_ahead = Script(pauses=(0.2, 0.2, 0.2))
    yield Case("stream/sent ahead", STREAM_DURATION, (GET * 3,), sent_ahead, responses=3, quiet=1, fields=fields)


def _buffers() -> Iterator[Case]:
    fields = ("spec.connection.bufferLimit", "spec.connection.maxAcceptPerSocketEvent")
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + b"x" * 200_000
    wide = b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\ncontent-length: 2\r\n\r\nok"
    late = Script((SWITCH,), pauses=(0.2,))
    sent: dict[str, tuple[tuple[bytes | float, ...], Script, int]] = {
        "a body": ((POST.replace(b"10", b"200000") + b"x" * 200_000,), Script(), 1),
        "a response": ((GET,), Script((large,)), 1),
        "two responses": ((GET + GET,), Script((large,)), 2),
        "a head": ((get(b"x: " + b"y" * 20_000),), Script(), 1),
        "a response head": ((GET,), Script((wide,)), 1),
        "requests ahead": ((GET * 50,), Script(), 50),
        "bytes behind an upgrade": ((UPGRADE + b"x" * 100_000,), late, 9),
    }
    for release, group in (("v1.9", BUFFERS), ("v0.6", BUFFERS_GUIDE)):
        for name, (steps, script, responses) in sent.items():
            yield Case(f"buffers/{release}/{name}", group, steps, script, responses, quiet=1, fields=fields)


def _circuit_breakers() -> Iterator[Case]:
    requests = {
        "GET": GET,
        "GET, close": get(b"Connection: close"),
        "gRPC": get(b"Content-Type: application/grpc", method=b"POST"),
        "a body owed": POST,
        "an upgrade": UPGRADE,
    }
    for release, group in (("v1.9", BREAKERS), ("v0.6", BREAKERS_GUIDE)):
        for name, request in requests.items():
            case = Case(f"breakers/{release}/{name}", group, (request,), SILENT, held=2, held_send=GET, quiet=1.5)
            yield case
        waits = Script(pauses=(0.3, 0.1))
        yield Case(f"breakers/{release}/one waits", group, (GET,), waits, held=1, held_send=GET, quiet=1)
    yield Case("timeout/route idle", ROUTE_IDLE, (GET,), SILENT, quiet=1.5)
    yield Case("timeout/route idle, the head is not the route's", ROUTE_IDLE, (b"GET",), quiet=1)
    yield Case("timeout/route idle, body", ROUTE_IDLE, (POST, 0.3, b"a", 0.3, b"b"), quiet=1.5)


def _health_check() -> Iterator[Case]:
    fields = ("spec.healthCheck.path",)
    requests: dict[str, tuple[bytes | float, ...]] = {
        "GET": (get(path=b"/ready"),),
        "POST": (get(b"Content-Length: 5", path=b"/ready", method=b"POST") + b"hello",),
        "POST, its body late": (get(b"Content-Length: 5", path=b"/ready", method=b"POST"), 0.2, b"hello"),
        "POST, its body never": (get(b"Content-Length: 5", path=b"/ready", method=b"POST"),),
        "a bad body": (get(b"Transfer-Encoding: chunked", path=b"/ready", method=b"POST") + b"xyz\r\n",),
        "gRPC": (get(b"Content-Type: application/grpc", path=b"/ready", method=b"POST"),),
        "OPTIONS": (get(path=b"/ready", method=b"OPTIONS"),),
        "close": (get(b"Connection: close", path=b"/ready"),),
        "close, its body late": (get(b"Connection: close", b"Content-Length: 1", path=b"/ready"), 0.2, b"x"),
        "with a query": (get(path=b"/ready?x=1"),),
        "in other letters": (get(path=b"/Ready"),),
        "something below": (get(path=b"/ready/"),),
        "not normal": (get(path=b"/a/..//%72eady"),),
        "an escaped slash": (get(path=b"/%2fready"),),
        "absolute form": (get(path=b"http://other.example/ready"),),
        "an upgrade": (get(b"Connection: Upgrade", b"Upgrade: foo", path=b"/ready"),),
        "a websocket": (get(b"Connection: Upgrade", b"Upgrade: websocket", path=b"/ready"),),
        "with a large body": (get(b"Content-Length: 300000", path=b"/ready", method=b"POST") + b"x" * 300_000,),
        "no host": (get(path=b"/ready", host=b""),),
    }
    for name, steps in requests.items():
        yield Case(f"health check/{name}", HEALTH, steps, quiet=1.5, fields=fields)
    yield Case("health check/HEAD", HEALTH, (get(path=b"/ready", method=b"HEAD"),), fields=fields)
    for name, ahead in (
        ("two and a request", get(path=b"/ready") * 2 + GET),
        ("a request and two", GET + get(path=b"/ready") * 2),
        ("four", get(path=b"/ready") * 4),
    ):
        yield Case(f"health check/{name}, sent ahead", HEALTH, (ahead,), responses=4, quiet=1.5, fields=fields)
    for name, path, host in (
        ("its query", b"/ready?x=1", b"www.example.com"),
        ("another query", b"/ready?x=2", b"www.example.com"),
        ("no query", b"/ready", b"www.example.com"),
        ("a host without a route", b"/ready?x=1", b"other.example"),
    ):
        yield Case(f"health check/v0.6, {name}", HEALTH_GUIDE, (get(path=path, host=host),), fields=fields)


NET_FIELD_CASES: tuple[Case, ...] = (
    *_request_timeouts(),
    *_stream_idle(),
    *_idle(),
    *_inspection(),
    *_connection_limit(),
    *_connection_duration(),
    *_requests(),
    *_stream_duration(),
    *_buffers(),
    *_health_check(),
    *_circuit_breakers(),
)
