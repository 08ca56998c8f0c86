"""What a refusal counts as. What is counted where it happens is counted there; this is what needs a choice."""

from __future__ import annotations

from pyproxy.errors import Fault
from pyproxy.observe.stats import CodecStats, HttpStats, ProxyProtocolStats
from pyproxy.wire.proxy_protocol import Rejected


def count_rejected_preface(stats: ProxyProtocolStats, rejected: Rejected) -> None:
    """A connection that is reset for its PROXY header, or for having none."""
    if rejected.version is None:
        stats.not_found_disallowed += 1
    else:
        stats.error[rejected.version] += 1


def count_refusal(stats: HttpStats, codec: CodecStats, fault: Fault) -> None:
    """A reply to what is no request, or not yet one: the request ends with it, and so does the connection."""
    stats.responses[fault.status // 100] += 1
    stats.downstream_rq_response_before_rq_complete += 1
    stats.downstream_rq_rx_reset += 1
    if fault.flag == "DPE":
        stats.downstream_cx_protocol_error += 1
        count_underscore(codec, fault)
    else:
        count_timeout(stats, fault.detail)


def count_underscore(codec: CodecStats, fault: Fault) -> None:
    """A request that can't be understood, perhaps for an underscore in a header or trailer."""
    if fault.detail == "http1.unexpected_underscore":
        codec.requests_rejected_with_underscores_in_headers += 1


def count_timeout(stats: HttpStats, details: str) -> None:
    """One of the listener's timeouts has run out; ``details`` are its response_code_details."""
    match details:
        case "request_header_timeout":
            stats.downstream_rq_header_timeout += 1
        case "request_overall_timeout":
            stats.downstream_rq_timeout += 1
        case "stream_idle_timeout":
            stats.downstream_rq_idle_timeout += 1
        case "max_duration_timeout":
            stats.downstream_rq_max_duration_reached += 1
        case _:
            pass  # the client went away
