"""A conformance case as data: the policy it runs under, the bytes of both peers, and what is compared."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyproxy.conformance.parts import HEAD, parts
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.policy.release import Release
from pyproxy.settings import ClientAddressOptions, Listener

Views = dict[str, bytes]
"""What was seen by what name, in a comparable form."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One side of a case that has run, or a record of it."""

    views: Views
    """All that is compared."""
    received: bytes | None = None
    """By the client, normalized; ``None`` in a record that does not say."""
    streams: tuple[bytes, ...] | None = None
    """By the backend, a connection each, normalized."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that one start of the two proxies serves."""

    name: str
    release: Release = Release.V1_9
    spec: str = ""
    """The ClientTrafficPolicy's spec but for its target, as YAML at column 0; empty for no policy."""
    hostname: str = ""
    """The route's hostname; empty for all."""
    backend_listens: bool = True
    client_address: ClientAddressOptions | None = None
    """In place of what the policy says about it, also what none can say."""
    listener: Listener | None = None
    """In place of all this, a listener that is to be served as it is, but for its port and its backends."""
    routes: str = ""
    """HTTPRoutes and further Backends instead of the one route to all: YAML documents with ``%(lane)d`` for the lane's
    number and ``%(port)d`` for its backend's port. Listener and Backend of a lane are called ``lane%(lane)d``."""
    listener_hostnames: tuple[str, ...] = ("",)
    """A listener for each, on one port; all but the first are called ``lane%(lane)d-<n>``."""


@dataclass(frozen=True, slots=True)
class Case:
    """One connection."""

    name: str
    group: Group
    steps: tuple[bytes | float, ...]
    """What the client sends: bytes, or seconds to pause."""
    script: Script = field(default_factory=Script)
    responses: int = 1
    """Complete responses after which the case is over; 0 where none is to come."""
    quiet: float = 0.4
    """Seconds without a byte after which nothing more is expected."""
    half_close: bool = False
    compare_end: bool = True
    """Whether how and when the connection ended counts; not where ``quiet`` is shorter than Envoy's delayed close."""
    held: int = 0
    """Connections that are opened before this one and kept until it is over."""
    held_send: bytes = b""
    """All that each of them sends."""
    fields: tuple[str, ...] = ()
    """The policy's fields that the case is about."""
    corpus: str = "built-in"
    """Where it comes from, for the totals."""
    addresses: bool = False
    """Whether the client's and the listener's address in the access log are compared too."""
    recorded: Observation | None = field(default=None, compare=False)
    """What Envoy did when it was last asked."""

    @property
    def sent(self) -> bytes:
        """All bytes that the client sends."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    @property
    def answers_to_head(self) -> tuple[bool, ...]:
        """For each response that may come, whether its request is HEAD."""
        found = parts(self.sent, proxy_protocol=self.reads_proxy_headers)
        return tuple(data.startswith(b"HEAD") for name, data in found if name == HEAD)

    @property
    def reads_proxy_headers(self) -> bool:
        """What is sent may begin with a PROXY header."""
        if self.group.listener is not None:
            return self.group.listener.proxy_protocol is not None
        return "proxyprotocol" in self.group.spec.lower()

    @property
    def answers_specially(self) -> bool:
        """What the backend answers is what the case is about."""
        return self.script.replies[:1] not in ((), (OK_REPLY,))

    @property
    def is_slow(self) -> bool:
        """Runs for seconds by its nature, so that it is to start first."""
        return self.quiet > 2
