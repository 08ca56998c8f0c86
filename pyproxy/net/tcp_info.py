"""What the kernel knows of a TCP connection: its TCP_INFO and where its keepalive stands. Linux only.

Source: struct tcp_info of linux/tcp.h; the keepalive timer is worked out as tcp_keepalive_timer() of
net/ipv4/tcp_timer.c does: it counts from whatever came last from the peer, and after the first probe one more follows
every interval.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from pyproxy.net.sockets import read_back_keepalive

_TCP_INFO = struct.Struct("=8B24I4Q")

# Numbers of net/tcp_states.h.
_STATES = (
    "UNKNOWN",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
)


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """The fields that say how a connection is doing."""

    state: str
    rtt_ms: float
    rtt_variance_ms: float
    retransmits: int
    """Segments sent again since the connection began."""
    unacknowledged: int
    """Segments that the peer has not acknowledged yet."""
    congestion_window: int
    mss: int
    since_data_sent_ms: int
    since_data_received_ms: int
    since_ack_received_ms: int
    bytes_acknowledged: int
    bytes_received: int
    keepalive_probes_sent: int


@dataclass(frozen=True, slots=True)
class KeepaliveState:
    """Where the keepalive of a connection stands; seconds."""

    idle: int
    interval: int
    probes: int
    probes_sent: int
    """Without an answer."""
    next_probe_in: float | None
    """``None`` while unacknowledged data is on its way: retransmission is then the kernel's test for life."""
    gives_up_in: float | None
    """When the kernel resets the connection if nothing comes from the peer."""


def read_tcp_info(sock: socket.socket) -> TcpInfo:
    """TCP_INFO of ``sock``. Raises ``OSError`` for a socket that is closed."""
    data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    fields = _TCP_INFO.unpack(data.ljust(_TCP_INFO.size, b"\0"))
    state, _, _, probes = fields[:4]
    words, (_, _, acknowledged, received) = fields[8:32], fields[32:]
    return TcpInfo(
        state=_STATES[state] if state < len(_STATES) else _STATES[0],
        rtt_ms=words[15] / 1000,
        rtt_variance_ms=words[16] / 1000,
        retransmits=words[23],
        unacknowledged=words[4],
        congestion_window=words[18],
        mss=words[2],
        since_data_sent_ms=words[9],
        since_data_received_ms=words[11],
        since_ack_received_ms=words[12],
        bytes_acknowledged=acknowledged,
        bytes_received=received,
        keepalive_probes_sent=probes,
    )


def keepalive_state(sock: socket.socket, info: TcpInfo) -> KeepaliveState | None:
    """Where the keepalive of ``sock`` stands, ``None`` if it is off. Raises ``OSError``."""
    options = read_back_keepalive(sock)
    if options is None:
        return None
    idle, interval, probes = options.idle or 0, options.interval or 0, options.probes or 0
    silent = min(info.since_data_received_ms, info.since_ack_received_ms) / 1000
    sent = 0 if info.unacknowledged else info.keepalive_probes_sent
    quiet = info.state == "ESTABLISHED" and not info.unacknowledged
    return KeepaliveState(
        idle=idle,
        interval=interval,
        probes=probes,
        probes_sent=sent,
        next_probe_in=max(0.0, idle + sent * interval - silent) if quiet else None,
        gives_up_in=max(0.0, idle + probes * interval - silent) if quiet else None,
    )
