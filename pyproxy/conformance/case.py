"""A conformance case as data: the policy it runs under, the bytes of both peers, and what is compared."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyproxy.conformance.peers import Script
from pyproxy.policy.release import Release


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
    bodiless: bool = False
    """The requests are HEAD."""
    fields: tuple[str, ...] = ()
    """The policy's fields that the case is about."""

    @property
    def sent(self) -> bytes:
        """All bytes that the client sends."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    @property
    def is_slow(self) -> bool:
        """Runs for seconds by its nature, so that it is to start first."""
        return self.quiet > 2
