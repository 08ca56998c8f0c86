"""What a difference means: only another byte, a request that Envoy would not have sent, or pyproxy refusing.

A proxy is unsafe that forwards what Envoy refuses, or takes a message for longer, shorter or two: then whoever stands
behind it sees requests that whoever stands before it has not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pyproxy.conformance.case import Observation
from pyproxy.conformance.messages import Message, messages
from pyproxy.conformance.observe import END, STATUS

_UPSTREAM_FAILED = re.compile(
    rb"HTTP/1\.1 50[234] [^\r]*\r\ncontent-length: \d+\r\ncontent-type: text/plain\r\ndate: "
    rb"|HTTP/1\.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ngrpc-message: upstream connect error"
)
"""The local reply to a backend's response that is none."""


class Verdict(Enum):
    """What became of a case."""

    SAME = "the same"
    EXPLAINED = "explained by a deviation"
    DIFFERENT = "different"
    UNSAFE = "unsafe"


class _Step(Enum):
    """How one of pyproxy's messages stands to Envoy's at the same place."""

    EQUAL = 1
    LESS = 2
    """pyproxy refused it, or stopped in it."""
    OTHER = 3
    """Another head, the same framing."""
    REFUSED = 4
    """Both refused it, each in its way."""
    MORE = 5
    """pyproxy forwarded what Envoy did not, or framed it differently."""


def is_unsafe(envoy: Observation, pyproxy: Observation, *, to_head: Sequence[bool]) -> bool:
    """Whether pyproxy forwarded what Envoy refused, or framed a message differently, in either direction."""
    return _Step.MORE in _steps(envoy, pyproxy, to_head=to_head)


def refuses(envoy: Observation, pyproxy: Observation, *, to_head: Sequence[bool]) -> bool:
    """Whether all that pyproxy did otherwise is to forward less: nothing explains another difference."""
    steps = _steps(envoy, pyproxy, to_head=to_head)
    if envoy.views.get(END) == b"open" and pyproxy.views.get(END) != b"open":
        steps.add(_Step.LESS)  # Envoy would have gone on
    if (envoy.views.get(END), pyproxy.views.get(END)) == (b"fin", b"rst"):
        steps.add(_Step.REFUSED)  # pyproxy refused sooner, so that what the client sent on was not read
    return bool({_Step.LESS, _Step.REFUSED} & steps) and not {_Step.MORE, _Step.OTHER} & steps


def _steps(envoy: Observation, pyproxy: Observation, *, to_head: Sequence[bool]) -> set[_Step]:
    if envoy.received is None:
        return {_coarse_step(envoy, pyproxy)}
    theirs, ours = _Side.of(envoy, to_head=to_head), _Side.of(pyproxy, to_head=to_head)
    steps = _response_steps(theirs, ours)
    if envoy.views.get(END) == b"open" != pyproxy.views.get(END, b"open"):
        steps.add(_Step.REFUSED)
    if envoy.streams is None:
        return steps
    # Envoy would have come to the next request if it had not been waiting for a response that pyproxy has given up.
    beyond = _Step.MORE
    if theirs.waits_for_backend:
        beyond = _Step.REFUSED if _Step.LESS in steps else _Step.OTHER
    return steps | _request_steps(theirs, ours, beyond)


@dataclass(frozen=True, slots=True)
class _Side:
    requests: list[Message]
    responses: list[Message]
    """Final ones; what is informational precedes in ``informational``."""
    informational: list[Message]

    @classmethod
    def of(cls, observation: Observation, *, to_head: Sequence[bool]) -> _Side:
        requests = [message for stream in observation.streams or () for message in messages(stream)]
        responses = list(messages(observation.received or b"", to_head))
        return cls(
            requests,
            [one for one in responses if not one.informational],
            [one for one in responses if one.informational],
        )

    @property
    def waits_for_backend(self) -> bool:
        """The last request is complete and its answer has not come, or not to its end."""
        if not self.requests or not self.requests[-1].complete:
            return False
        return len(self.responses) < len(self.requests) or not self.responses[-1].complete

    def is_local(self, index: int) -> bool:
        """Whether the response at ``index`` is the proxy's own."""
        if index >= len(self.requests) or not self.requests[index].complete:
            return self.responses[index].status >= 300 or b"\r\ngrpc-status: " in self.responses[index].head
        return _UPSTREAM_FAILED.match(self.responses[index].head) is not None


def _coarse_step(envoy: Observation, pyproxy: Observation) -> _Step:
    """By the first status only, which is all that such a record has."""
    theirs, ours = envoy.views.get(STATUS, b""), pyproxy.views.get(STATUS, b"")
    if theirs == ours:
        return _Step.EQUAL if envoy.views.get(END) in (None, pyproxy.views.get(END)) else _Step.OTHER
    return _Step.MORE if ours[:1] in (b"2", b"3") else _Step.LESS


def _request_steps(envoy: _Side, pyproxy: _Side, beyond: _Step) -> set[_Step]:
    steps = {_Step.LESS} if len(pyproxy.requests) < len(envoy.requests) else set()
    for index, ours in enumerate(pyproxy.requests):
        if index >= len(envoy.requests):
            steps.add(beyond)
            break
        steps.add(_request_step(envoy.requests[index], ours))
    return steps


def _request_step(theirs: Message, ours: Message) -> _Step:
    if not ours.head_complete or not theirs.head_complete:
        if theirs.head.startswith(ours.head):
            return _Step.EQUAL if theirs == ours else _Step.LESS
        return _Step.MORE if ours.head_complete else _Step.OTHER
    if (ours.chunked, ours.length) != (theirs.chunked, theirs.length):
        return _Step.MORE
    step = _body_step(theirs, ours)
    return _Step.OTHER if step is not _Step.MORE and ours.head != theirs.head else step


def _body_step(theirs: Message, ours: Message) -> _Step:
    """By contents: whoever got less, as the head is the same, has been told that there is more."""
    if ours.complete and theirs.complete:
        return _Step.EQUAL if ours.content == theirs.content else _Step.MORE
    if ours.complete:
        return _Step.MORE
    if theirs.content.startswith(ours.content):
        return _Step.LESS if theirs.complete or theirs.content != ours.content else _Step.EQUAL
    return _Step.OTHER if not theirs.complete and ours.content.startswith(theirs.content) else _Step.MORE


def _response_steps(envoy: _Side, pyproxy: _Side) -> set[_Step]:
    steps = {_Step.LESS} if len(pyproxy.responses) < len(envoy.responses) else set()
    if envoy.informational != pyproxy.informational:
        some = envoy.informational[: len(pyproxy.informational)]
        steps.add(_Step.REFUSED if some == pyproxy.informational else _Step.OTHER)
    for index, ours in enumerate(pyproxy.responses):
        local = pyproxy.is_local(index)
        if index >= len(envoy.responses):
            if local:
                steps.add(_Step.LESS)
            elif envoy.waits_for_backend:
                steps.add(_Step.REFUSED if _Step.LESS in steps else _Step.OTHER)
            else:
                steps.add(_Step.MORE)
            continue
        theirs = envoy.responses[index]
        if ours == theirs:
            continue
        if local:
            steps.add(_Step.REFUSED if envoy.is_local(index) else _Step.LESS)
        elif ours.bodiless and ours.head == theirs.head:
            steps.add(_Step.LESS)  # Envoy sends a body where the client expects none
        elif ours.status != theirs.status:
            steps.add(_Step.MORE)
        else:
            step = _body_step(theirs, ours)
            steps.add(_Step.OTHER if step is not _Step.MORE and ours.head != theirs.head else step)
    return steps
