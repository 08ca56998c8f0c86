"""Access log formats: text with Envoy's %OPERATORS%, or a JSON object of such texts, compiled once to a function.

What a header operator finds is what went over the wire: ``%REQ(X)%`` looks at the headers as the backend got them and
``%RESP(X)%`` into the one the client got, as Envoy's do once its filters have run. Where there is nothing, text has
``-`` and JSON has ``null``. A JSON value that is one operator alone keeps the operator's type; keys are sorted.

Source: Envoy, "Access logging", and measured on 1.40 operator by operator (tests/conformance/test_log_format.py).
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import ip_interface
from time import gmtime, localtime, strftime
from typing import Any, ClassVar, Final, TypeAlias, cast
from uuid import uuid4

from pyproxy.observe.request_log import Headers, RequestLog
from pyproxy.settings import GATEWAY_ACCESS_LOG

Value: TypeAlias = bytes | str | int | None
Operator = Callable[[RequestLog], Value]
Formatter = Callable[[RequestLog], bytes]
"""A record to its line, LF included."""

Json: TypeAlias = "str | int | float | bool | None | Sequence[Json] | Mapping[str, Json]"

DEFAULT_TEXT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
)
"""Envoy's default."""

_OPERATOR: Final = re.compile(r"%%|%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%", re.DOTALL)
_HEADER_NAME: Final = re.compile(r":?[A-Za-z0-9!#$&'*+.^_`|~%-]*")
_NEEDS_ESCAPE: Final = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')


class FormatError(ValueError):
    """A format that can't be compiled."""

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message)
        before = text[:position]
        self.line = before.count("\n") + 1
        self.column = position - (before.rfind("\n") + 1) + 1


def compile_format(text: str) -> Formatter:
    """The function of ``default``, ``json`` or a format. Raises ``FormatError``.

    A format that is a JSON object makes JSON lines; any other is text, and gets a line end if it has none. One without
    an operator is refused: each of its lines would be the same.
    """
    if text == "default":
        return compile_text(DEFAULT_TEXT)
    if text == "json":
        return compile_json(GATEWAY_ACCESS_LOG, "")
    formatter = _compile(text)
    if not any(found[1] for found in _OPERATOR.finditer(text)):
        close = get_close_matches(text, ["json", "default"], n=1)
        raise FormatError("there is no %OPERATOR% in it" + (f"; did you mean {close[0]}?" if close else ""), text, 0)
    return formatter


def _compile(text: str) -> Formatter:
    if text.lstrip().startswith("{"):
        try:
            return compile_json(json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, text)), text)
        except json.JSONDecodeError as error:
            if not _OPERATOR.search(text) or '":' in text:
                raise FormatError(f"not JSON: {error.msg}", text, error.pos) from error
    return compile_text(text)


def _object(pairs: list[tuple[str, Json]], text: str) -> Json:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise FormatError(f"the key {key} is there twice", text, max(0, text.rfind(json.dumps(key))))
        found[key] = value
    return found


def compile_text(text: str) -> Formatter:
    """The function of a text format. Raises ``FormatError``."""
    pieces = _parse(text if text.endswith("\n") else text + "\n", text)
    template, operators = _template(pieces)

    def write(record: RequestLog) -> bytes:
        return template % tuple([_as_text(operator(record)) for operator in operators])

    return write


def compile_json(document: Json, text: str) -> Formatter:
    """The function of a JSON format; ``text`` is where it was read from. Raises ``FormatError``."""
    pieces: list[bytes | Operator] = []
    _walk(document, text, pieces)
    pieces.append(b"\n")
    template, operators = _template(pieces)
    values = _json_values(operators)
    return lambda record: template % values(record)


def _json_values(operators: Sequence[Operator]) -> Callable[[RequestLog], tuple[bytes, ...]]:
    """A function of all operators' values as JSON: one expression, since it runs for every request."""
    names: dict[str, object] = {"quoted": _QUOTED, **_NAMES}
    source = "lambda record: ("
    for number, operator in enumerate(operators):
        if isinstance(operator, _Expression):
            source += (operator.json or f"quoted[{operator.source}]") + ","
        else:
            names[f"operator{number}"] = operator
            source += f"quoted[operator{number}(record)],"
    return cast("Callable[[RequestLog], tuple[bytes, ...]]", eval(source + ")", names))


def _template(pieces: Sequence[bytes | Operator]) -> tuple[bytes, list[Operator]]:
    """``pieces`` as one % format and what goes into it."""
    template = b"".join(piece.replace(b"%", b"%%") if isinstance(piece, bytes) else b"%b" for piece in pieces)
    return template, [piece for piece in pieces if not isinstance(piece, bytes)]


def _walk(value: Json, text: str, pieces: list[bytes | Operator]) -> None:
    if isinstance(value, str):
        parsed = _parse(value, text)
        if len(parsed) == 1 and not isinstance(parsed[0], bytes):
            pieces.append(b"null" if parsed[0] is _nothing else parsed[0])
        elif all(isinstance(piece, bytes) for piece in parsed):
            pieces.append(_as_json(b"".join(piece for piece in parsed if isinstance(piece, bytes))))
        else:
            template, operators = _template(parsed)
            pieces.append(lambda record: template % tuple([_as_text(operator(record)) for operator in operators]))
    elif isinstance(value, Mapping):
        for number, key in enumerate(sorted(value)):
            pieces.append(b"," if number else b"{")
            pieces.append(_as_json(key) + b":")
            _walk(value[key], text, pieces)
        pieces.append(b"}" if value else b"{}")
    elif isinstance(value, Sequence):
        for number, element in enumerate(value):
            pieces.append(b"," if number else b"[")
            _walk(element, text, pieces)
        pieces.append(b"]" if value else b"[]")
    else:
        pieces.append(json.dumps(value).encode())


def _parse(text: str, source: str) -> list[bytes | Operator]:
    """A format's constants and operators, in order. ``source``: the whole text, for positions in messages."""
    pieces: list[bytes | Operator] = []
    offset = max(0, source.find(text.rstrip("\n")))
    at = 0
    while at < len(text):
        start = text.find("%", at)
        if start < 0:
            start = len(text)
        if start > at:
            pieces.append(text[at:start].encode())
        if start == len(text):
            break
        found = _OPERATOR.match(text, start)
        if found is None:
            raise FormatError("no operator begins at this %; a percent sign itself is %%", source, offset + start)
        try:
            pieces.append(_operator(*found.groups()) if found[1] else b"%")
        except ValueError as error:
            raise FormatError(str(error), source, offset + start) from error
        at = found.end()
    return pieces


def _as_text(value: Value) -> bytes:
    if value is None:
        return b"-"
    if isinstance(value, bytes):
        return value
    return b"%d" % value if isinstance(value, int) else value.encode()


def _as_json(value: Value) -> bytes:
    if isinstance(value, bytes):
        if _NEEDS_ESCAPE.search(value) is None:
            return b'"%b"' % value
        return _escape(value)
    if value is None:
        return b"null"
    return b"%d" % value if isinstance(value, int) else _as_json(value.encode())


class _Quoted(dict[Value, bytes]):
    """What has been quoted lately: nearly every value of a line has been in one before.

    Long values are left out and all are forgotten now and then, because clients choose some of them.
    """

    MAX_LENGTH: ClassVar[int] = 200
    MAX_VALUES: ClassVar[int] = 5_000

    def __missing__(self, value: Value) -> bytes:
        quoted = _as_json(value)
        if len(quoted) <= self.MAX_LENGTH:
            if len(self) >= self.MAX_VALUES:
                self.clear()
            self[value] = quoted
        return quoted


_QUOTED: Final = _Quoted()


def _escape(raw: bytes) -> bytes:
    """A JSON string; of bytes that are no UTF-8, as in Envoy, each that is special stands for itself."""
    try:
        return json.dumps(raw.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return b'"%b"' % _NEEDS_ESCAPE.sub(lambda found: b"\\u%04x" % found[0][0], raw)


class _Expression:
    """An operator as an expression on ``record``, which a compiled format has in it and need not call."""

    def __init__(self, source: str, json: str | None = None) -> None:
        """``json``: the value as JSON, where it is new with every request and to remember it would be in vain."""
        self.source = source
        self.json = json
        self._evaluate: Callable[[RequestLog], Any] = eval(f"lambda record: {source}", dict(_NAMES))

    def __call__(self, record: RequestLog) -> Any:
        return self._evaluate(record)


def _find(head: bytes, needle: bytes) -> bytes | None:
    """The value of the first header whose line starts with ``needle``."""
    at = head.find(needle)
    if at < 0:
        return None
    at += len(needle)
    return head[at : head.find(b"\r\n", at)]


def _value_of(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first header called ``name``."""
    for found, value in headers:
        if found == name:
            return value
    return None


def format_time(seconds: float) -> bytes:
    """``2026-11-24T10:35:35.923Z``: cut, not rounded, to milliseconds."""
    whole = int(seconds)
    return _second_text(whole) + _MILLISECONDS[int((seconds - whole) * 1000)]


_MILLISECONDS: Final = [b".%03dZ" % number for number in range(1000)]


@lru_cache(maxsize=16)
def _second_text(second: int) -> bytes:
    return b"%04d-%02d-%02dT%02d:%02d:%02d" % gmtime(second)[:6]


_NAMES: Final[dict[str, object]] = {
    "as_json": _as_json,
    "find": _find,
    "format_time": format_time,
    "value_of": _value_of,
}
"""What expressions may use."""


# -- operators ----------------------------------------------------------------------------------------------------


def _operator(name: str, argument: str | None, length: str | None) -> Operator:
    """The operator ``%name(argument):length%``. Raises ``ValueError``."""
    if name in _WITH_ARGUMENT:
        compiled = _WITH_ARGUMENT[name](argument)
        if length is None:
            return compiled
        if name not in _CUTS:
            raise ValueError(f"%{name}% can't be cut with :{length}")
        return _cut(compiled, int(length))
    plain = _PLAIN.get(name)
    if plain is None:
        close = get_close_matches(name, [*_PLAIN, *_WITH_ARGUMENT], n=1)
        raise ValueError(f"there is no operator %{name}%" + (f"; did you mean %{close[0]}%?" if close else ""))
    if argument is not None or length is not None:
        raise ValueError(f"%{name}% takes neither a parameter nor a length")
    return plain


def _cut(operator: Operator, length: int) -> Operator:
    def cut(record: RequestLog) -> Value:
        value = operator(record)
        return value[:length] if isinstance(value, bytes | str) else value

    return cut


def _names(argument: str | None) -> list[str]:
    """``X`` or ``X?Y`` in lower case."""
    if not argument:
        raise ValueError("a header operator needs the header's name: %REQ(USER-AGENT)%")
    names = argument.split("?")
    if len(names) > 2:
        raise ValueError(f"a header can have one alternative, not {len(names) - 1}: {argument}")
    for name in names:
        if _HEADER_NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} can't be a header's name")
    return [name.lower() for name in names]


def _request_header(argument: str | None) -> Operator:
    return _either([_REQUEST_PSEUDO.get(name) or _find_in_request(name) for name in _names(argument)])


def _response_header(argument: str | None) -> Operator:
    return _either([_RESPONSE_PSEUDO.get(name) or _find_in_response(name) for name in _names(argument)])


def _either(operators: list[Operator]) -> Operator:
    if len(operators) == 1:
        return operators[0]
    first, second = operators
    if isinstance(first, _Expression) and isinstance(second, _Expression):
        return _Expression(f"(found if (found := {first.source}) is not None else {second.source})")

    def either(record: RequestLog) -> Value:
        value = first(record)
        return second(record) if value is None else value

    return either


def _find_in_request(name: str) -> Operator:
    source = f"value_of(record.forwarded_headers, {name.encode()!r})"
    return _Expression(source, f"as_json({source})" if name == "x-request-id" else None)


def _find_in_response(name: str) -> Operator:
    needle = b"\r\n%b: " % name.encode()
    return _Expression(f"find(record.response_head, {needle!r})")


def _nothing(record: RequestLog) -> Value:
    return None


_written_content_length: Final = _find_in_response("content-length")


def _content_length_sent(record: RequestLog) -> Value:
    found = _written_content_length(record)
    return None if found == b"0" and record.adds_length else found


def _content_length_received(record: RequestLog) -> Value:
    # That a POST has no body is for the codec to say, when it writes to the backend.
    return next((value for name, value in record.headers if name == b"content-length"), None)


def _scheme(record: RequestLog) -> Value:
    return None if record.method is None or not record.is_admitted else b"http"


_REQUEST_PSEUDO: Final[dict[str, Operator]] = {
    ":method": _Expression("record.method"),
    ":path": _Expression("record.path"),
    ":authority": _Expression("record.authority"),
    "host": _Expression("record.authority"),
    ":scheme": _scheme,
    "content-length": _content_length_received,
    "transfer-encoding": _nothing,
}
_RESPONSE_PSEUDO: Final[dict[str, Operator]] = {
    ":status": lambda record: b"%d" % record.response_code if record.response_head else None,
    "transfer-encoding": _nothing,
    "content-length": _content_length_sent,
}


def _some_parameter(argument: str | None) -> Operator:
    """An operator on what pyproxy, like Envoy as Envoy Gateway configures it, never has."""
    if not argument:
        raise ValueError("the operator needs a parameter")
    return _nothing


def _environment(argument: str | None) -> Operator:
    if not argument:
        raise ValueError("%ENVIRONMENT% needs the variable's name")
    value = os.environ.get(argument, "-").encode()
    return lambda record: value


def _without_port(address: Callable[[RequestLog], str | None]) -> Callable[[str | None], Operator]:
    def with_argument(argument: str | None) -> Operator:
        if argument is None:
            return lambda record: None if (found := address(record)) is None else _host(found)
        if not argument.isdigit() or int(argument) > 128:
            raise ValueError(f"the prefix length must be a number of at most 128, not {argument!r}")

        def masked(record: RequestLog) -> Value:
            found = address(record)
            return None if found is None else str(ip_interface(f"{_host(found)}/{argument}").network)

        return masked

    return with_argument


def _host(address: str) -> str:
    return address.rpartition(":")[0].removeprefix("[").removesuffix("]")


def _port(address: Callable[[RequestLog], str | None]) -> Operator:
    return lambda record: None if (found := address(record)) is None else int(found.rpartition(":")[2])


# -- times --------------------------------------------------------------------------------------------------------


def _start_time(argument: str | None) -> Operator:
    if not argument:
        source = "format_time(record.start_time)"
        return _Expression(source, f"b'\"%b\"' % {source}")
    write = _time_format(argument, local=False)
    return lambda record: write(record.start_time)


def _start_time_local(argument: str | None) -> Operator:
    write = _time_format(argument or "%Y-%m-%dT%H:%M:%E3S%z", local=True)
    return lambda record: write(record.start_time)


_TIME_FIELD: Final = re.compile(r"%%|%([1-9])?f|%E([0-9]+|\*)S|%[a-zA-Z]")


def _time_format(text: str, *, local: bool) -> Callable[[float], str]:
    """strftime(3), with Envoy's %f, %1f to %9f, and %E3S and %E*S."""

    def write(seconds: float) -> str:
        nanoseconds = round(seconds * 1e6) * 1000  # a float of today's time is good for microseconds
        whole, fraction = divmod(nanoseconds, 1_000_000_000)
        digits = f"{fraction:09d}"
        broken_down = (localtime if local else gmtime)(whole)

        def field(found: re.Match[str]) -> str:
            if found[0].endswith("f"):
                return digits[: int(found[1] or 9)]
            if found[2] is not None:
                cut = digits.rstrip("0") if found[2] == "*" else digits[: int(found[2])]
                return f"{broken_down.tm_sec:02d}" + (f".{cut}" if cut else "")
            return strftime(found[0], broken_down)

        return _TIME_FIELD.sub(field, text)

    return write


# -- tables -------------------------------------------------------------------------------------------------------

RESPONSE_FLAGS: Final = {
    "DC": "DownstreamConnectionTermination",
    "DF": "DnsResolutionFailed",
    "DPE": "DownstreamProtocolError",
    "DT": "DurationTimeout",
    "LH": "FailedLocalHealthCheck",
    "LR": "LocalReset",
    "NC": "NoClusterFound",
    "NR": "NoRouteFound",
    "OM": "OverloadManagerTerminated",
    "SI": "StreamIdleTimeout",
    "UC": "UpstreamConnectionTermination",
    "UF": "UpstreamConnectionFailure",
    "UH": "NoHealthyUpstream",
    "UMSDR": "UpstreamMaxStreamDurationReached",
    "UO": "UpstreamOverflow",
    "UPE": "UpstreamProtocolError",
    "UR": "UpstreamRemoteReset",
    "UT": "UpstreamRequestTimeout",
}

_ADDRESSES: Final[dict[str, Callable[[RequestLog], str | None]]] = {
    "UPSTREAM_LOCAL": _Expression("record.upstream_local_address"),
    "UPSTREAM_REMOTE": _Expression("record.upstream_remote_address"),
    "DOWNSTREAM_REMOTE": _Expression("record.downstream_remote_address"),
    "DOWNSTREAM_DIRECT_REMOTE": lambda record: record.connection.direct_remote_address,
    "DOWNSTREAM_LOCAL": lambda record: record.connection.local_address,
    "DOWNSTREAM_DIRECT_LOCAL": lambda record: record.connection.direct_local_address,
}

_hostname: Final = platform.node()

_PLAIN: Final[dict[str, Operator]] = {
    "ACCESS_LOG_TYPE": lambda record: b"DownstreamEnd",
    "BYTES_RECEIVED": _Expression("record.bytes_received"),
    "BYTES_SENT": _Expression("record.bytes_sent"),
    "CONNECTION_ID": lambda record: record.connection.id,
    "CONNECTION_TERMINATION_DETAILS": _nothing,
    "DURATION": _Expression("record.duration"),
    "HOSTNAME": lambda record: _hostname,
    "PROTOCOL": _Expression("record.protocol"),
    "REQUESTED_SERVER_NAME": _nothing,
    "REQUEST_DURATION": _Expression("record.request_duration"),
    "RESPONSE_CODE": _Expression("record.response_code"),
    "RESPONSE_CODE_DETAILS": _Expression("record.response_code_details"),
    "RESPONSE_DURATION": _Expression("record.response_duration"),
    "RESPONSE_FLAGS": _Expression("record.response_flags"),
    "RESPONSE_FLAGS_LONG": lambda record: RESPONSE_FLAGS.get(record.response_flags, record.response_flags),
    "RESPONSE_TX_DURATION": _Expression("record.response_tx_duration"),
    "ROUTE_NAME": _Expression("record.route_name"),
    "SPAN_ID": _nothing,
    "STREAM_ID": _Expression("record.request_id"),
    "TRACE_ID": _nothing,
    "UNIQUE_ID": lambda record: str(uuid4()),
    "UPSTREAM_CLUSTER": _Expression("record.upstream_cluster"),
    "UPSTREAM_CLUSTER_RAW": _Expression("record.upstream_cluster"),
    "UPSTREAM_HOST": _Expression("record.upstream_host"),
    "UPSTREAM_PROTOCOL": lambda record: None if record.upstream_remote_address is None else b"HTTP/1.1",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda record: int(record.upstream_host is not None),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": _Expression("record.upstream_transport_failure_reason"),
    "VIRTUAL_CLUSTER_NAME": _nothing,
    **{f"{start}_ADDRESS": address for start, address in _ADDRESSES.items()},
    **{f"{start}_PORT": _port(address) for start, address in _ADDRESSES.items()},
    # A listener without TLS has nothing to say to these, nor has a backend's connection.
    "DOWNSTREAM_LOCAL_SUBJECT": _nothing,
    "DOWNSTREAM_LOCAL_URI_SAN": _nothing,
    "DOWNSTREAM_PEER_FINGERPRINT_256": _nothing,
    "DOWNSTREAM_PEER_ISSUER": _nothing,
    "DOWNSTREAM_PEER_SERIAL": _nothing,
    "DOWNSTREAM_PEER_SUBJECT": _nothing,
    "DOWNSTREAM_PEER_URI_SAN": _nothing,
    "DOWNSTREAM_TLS_CIPHER": _nothing,
    "DOWNSTREAM_TLS_SESSION_ID": _nothing,
    "DOWNSTREAM_TLS_VERSION": _nothing,
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": _nothing,
    "TLS_JA3_FINGERPRINT": _nothing,
    "UPSTREAM_PEER_ISSUER": _nothing,
    "UPSTREAM_PEER_SUBJECT": _nothing,
    "UPSTREAM_TLS_CIPHER": _nothing,
    "UPSTREAM_TLS_VERSION": _nothing,
}

_WITH_ARGUMENT: Final[dict[str, Callable[[str | None], Operator]]] = {
    "CLUSTER_METADATA": _some_parameter,
    "DYNAMIC_METADATA": _some_parameter,
    "ENVIRONMENT": _environment,
    "FILTER_STATE": _some_parameter,
    "METADATA": _some_parameter,
    "REQ": _request_header,
    "RESP": _response_header,
    "START_TIME": _start_time,
    "START_TIME_LOCAL": _start_time_local,
    "TRAILER": _some_parameter,
    "UPSTREAM_METADATA": _some_parameter,
    **{f"{start}_ADDRESS_WITHOUT_PORT": _without_port(address) for start, address in _ADDRESSES.items()},
}
_CUTS = ("CLUSTER_METADATA", "DYNAMIC_METADATA", "ENVIRONMENT", "FILTER_STATE", "METADATA", "REQ", "RESP", "TRAILER")
