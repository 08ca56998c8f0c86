"""Cases out of messages: which families of them, cut how, pipelined with what, answered how."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import CASES, TODAY
from pyproxy.conformance.fuzz import corners
from pyproxy.conformance.fuzz.choose import Chooser
from pyproxy.conformance.fuzz.mutate import mutate
from pyproxy.conformance.fuzz.prefaces import preface, v1, v2
from pyproxy.conformance.fuzz.requests import Place, request
from pyproxy.conformance.fuzz.responses import response
from pyproxy.conformance.inputs import get
from pyproxy.conformance.peers import BETWEEN_WRITES, OK_REPLY, Script
from pyproxy.settings import Listener, PathMatchType

MARK = b"X-Mark: behind"
"""In the clean request behind others: no backend may see it unless Envoy's does."""

MAX_SEED_BYTES = 3000
QUIET = 0.25
QUIET_RESPONSE = 1.3
"""Seconds; Envoy ends a response that was cut short after one."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What generated traffic is for."""

    group: Group
    places: tuple[Place, ...]
    reads_proxy_headers: bool


def setting_of(group: Group) -> Setting:
    """The hosts and paths that ``group`` has routes for."""
    if group.listener is None:
        host = group.hostname.encode() or b"h.example"
        return Setting(group, (Place(host),), "proxyprotocol" in group.spec.lower())
    return Setting(group, tuple(_places(group.listener)) or (Place(),), group.listener.proxy_protocol is not None)


def _places(listener: Listener) -> Iterator[Place]:
    for host in listener.virtual_hosts:
        for domain in host.domains:
            name = b"h.example" if domain == "*" else domain.replace("*", "any", 1).encode()
            for route in host.routes:
                end = "/x" if route.match.type is PathMatchType.PREFIX and route.match.value == "/" else ""
                yield Place(name, (route.match.value + end).encode())


def generate(group: Group, count: int, seed: int) -> Iterator[Case]:
    """``count`` cases for ``group``; most of those for a listener that reads PROXY headers are about these."""
    setting = setting_of(group)
    for number in range(count):
        choose = Chooser((seed, number))
        about_prefaces = setting.reads_proxy_headers and choose.chance(0.7)
        family = _preface_case if about_prefaces else choose.one(FAMILIES)
        yield family(choose, setting, f"fuzz/{group.name}/{seed}/{number}")


def _strictness(choose: Chooser) -> None:
    """One fault in an otherwise good message, or a few, or many."""
    choose.allow(*choose.one(((1, 0.15), (1, 0.15), (1, 0.3), (2, 0.15), (3, 0.3), (99, 0.15), (0, 0.0))))


def _seeds() -> list[bytes]:
    cases = (case for case in CASES if case.group is TODAY and not case.is_slow)
    return [case.sent for case in cases if len(case.sent) < MAX_SEED_BYTES]


SEEDS = _seeds()
RESPONSE_SEEDS = sorted({reply for case in CASES for reply in case.script.replies if len(reply) < MAX_SEED_BYTES})


def _one_request(choose: Chooser, setting: Setting) -> bytes:
    """A request of any family."""
    place = choose.one(setting.places)
    _strictness(choose)
    if choose.chance(0.2):
        return choose.one(corners.REQUESTS)(choose, place)
    kind = choose.random.random()
    if kind < 0.5:
        return request(choose, place)
    if kind < 0.75:
        return mutate(choose, request(choose, place), SEEDS)
    seed = choose.one(SEEDS)
    if setting.group.listener is not None or setting.group.hostname:
        seed = seed.replace(b"h.example", place.host)
    return mutate(choose, seed, SEEDS)


def _clean(setting: Setting, choose: Chooser) -> bytes:
    place = choose.one(setting.places)
    return get(MARK, path=place.path, host=place.host)


def _preface(choose: Chooser, setting: Setting) -> bytes:
    """A good one, where one is needed in front of a case about something else."""
    if not setting.reads_proxy_headers:
        return b""
    choose.allow(0, 0)
    return choose.one((v1, v2))(choose)


def _request_case(choose: Chooser, setting: Setting, name: str) -> Case:
    data = _preface(choose, setting) + _one_request(choose, setting)
    if choose.chance(0.4):
        data += _clean(setting, choose)
    return _case(choose, setting, name, data)


def _pipeline_case(choose: Chooser, setting: Setting, name: str) -> Case:
    data = _preface(choose, setting)
    for _ in range(choose.number(2, 4)):
        data += _one_request(choose, setting) if choose.chance(0.6) else _clean(setting, choose)
    return _case(choose, setting, name, data + _clean(setting, choose))


def _limits_case(choose: Chooser, setting: Setting, name: str) -> Case:
    """Around the limits: header count, head size, chunk lines, bodies of more than one read."""
    place = choose.one(setting.places)
    kind = choose.number(0, 6)
    lines: list[bytes] = []
    if kind == 0:
        lines = [b"x-%d: y" % number for number in range(choose.number(97, 101))]
    elif kind in (1, 2):
        size = choose.one((1000, 16_384, 32_768, 61_440, 61_440, 61_440, 65_536, 70_000)) + choose.number(-3, 3)
        bare = (
            len(get(b"x: ", host=place.host, path=place.path))
            if kind == 1
            else len(get(host=place.host, path=place.path))
        )
        filler = b"y" * max(0, size - bare)
        if kind == 2:
            data = _preface(choose, setting) + get(host=place.host, path=place.path.rstrip(b"/") + b"/" + filler[1:])
            return _case(choose, setting, name, data)
        lines = [b"x: " + filler]
    elif kind == 3:
        lines = [b"Transfer-Encoding: chunked"]
    else:
        lines = [b"Content-Length: %d" % choose.one((40_000, 100_000))]
    data = get(*lines, host=place.host, path=place.path, method=b"GET" if kind == 0 else b"POST")
    if kind == 3:
        extension = b";" + b"e" * (choose.one((1000, 16_380, 16_384)) + choose.number(-2, 2))
        data += b"1" + extension + b"\r\na\r\n" + choose.one((b"1\r\nb\r\n" * 200, b"")) + b"0\r\n\r\n"
    elif kind > 3:
        data += b"z" * choose.one((40_000, 100_000, 39_999))
    return _case(choose, setting, name, _preface(choose, setting) + data + _clean(setting, choose))


def _response_case(choose: Chooser, setting: Setting, name: str) -> Case:
    place = choose.one(setting.places)
    method = choose.one((b"GET", b"GET", b"GET", b"HEAD", b"POST"))
    lines = [b"Connection: upgrade", b"Upgrade: websocket"] if choose.chance(0.1) else []
    first = get(*lines, method=method, host=place.host, path=place.path)
    _strictness(choose)
    reply = response(choose)
    if choose.chance(0.25):
        reply = choose.one(corners.RESPONSES)(choose)
    elif choose.chance(0.4):
        reply = mutate(choose, reply, RESPONSE_SEEDS)
    elif choose.chance(0.15):
        reply = mutate(choose, choose.one(RESPONSE_SEEDS), RESPONSE_SEEDS)
    cuts = () if choose.chance(0.6) else _cuts(choose, len(reply))
    second = _clean(setting, choose) if method != b"HEAD" and choose.chance(0.5) else b""
    script = Script((reply, OK_REPLY), then=choose.one(("keep", "keep", "close", "close", "reset")), cuts=cuts)
    steps: tuple[bytes | float, ...] = (
        _preface(choose, setting) + first,
        *((0.05 + 0.03 * len(cuts), second) if second else ()),
    )
    return Case(
        name,
        setting.group,
        steps,
        script,
        responses=2 if second else 1,
        quiet=QUIET_RESPONSE,
        corpus="fuzz",
    )


def _preface_case(choose: Chooser, setting: Setting, name: str) -> Case:
    _strictness(choose)
    kind = choose.random.random()
    data = preface(choose)
    if kind < 0.25:
        data = mutate(choose, data, [v1(choose), v2(choose)])
    elif kind < 0.3:
        data = b""
    if choose.chance(0.85):
        data += _one_request(choose, setting) if choose.chance(0.15) else _clean(setting, choose)
    return _case(choose, setting, name, data, addresses=True)


def _case(choose: Chooser, setting: Setting, name: str, data: bytes, *, addresses: bool = False) -> Case:
    data = data or b"\r\n"
    steps: list[bytes | float] = []
    for size in () if choose.chance(0.6) else _cuts(choose, len(data)):
        steps += [data[:size], BETWEEN_WRITES]
        data = data[size:]
    sent = b"".join(step for step in steps if isinstance(step, bytes)) + data
    return Case(
        name,
        setting.group,
        (*steps, data) if data else tuple(steps),
        responses=max(1, sent.count(b"HTTP/1.")),
        quiet=QUIET,
        corpus="fuzz",
        addresses=addresses,
    )


def _cuts(choose: Chooser, length: int) -> tuple[int, ...]:
    """Sizes of writes: one cut, a few, or each byte by itself over a short stretch."""
    if length < 2:
        return ()
    kind = choose.random.random()
    if kind < 0.6:
        return (choose.number(1, length - 1),)
    if kind < 0.9:
        places = sorted({choose.number(1, length - 1) for _ in range(choose.number(2, 6))})
        return tuple(place - before for before, place in zip([0, *places], places, strict=False))
    start = choose.number(1, length - 1)
    return (start, *(1,) * min(12, length - start - 1))


FAMILIES: tuple[Callable[[Chooser, Setting, str], Case], ...] = (
    *(_request_case,) * 10,
    *(_response_case,) * 6,
    *(_pipeline_case,) * 3,
    _limits_case,
)
