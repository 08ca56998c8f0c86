"""How a request's client address was found, step by step: what ``client_address.locate`` does, said in words.

Nothing on the data path calls this. The last step's address is always what ``locate`` finds; a test holds it to that.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyproxy.proxy.client_address import MAX_XFF_ENTRIES, Client, in_networks, locate
from pyproxy.settings import ClientAddressOptions, CustomHeaderDetection, XffDetection
from pyproxy.wire.address import format_address, format_ip, parse_ip
from pyproxy.wire.messages import Headers
from pyproxy.wire.proxy_protocol import Accepted


@dataclass(frozen=True, slots=True)
class Step:
    """One step: where it looked, what it found, and what follows."""

    source: str
    found: str
    verdict: str


def explain_connection(peer: str, accepted: Accepted | None, *, expects_header: bool) -> list[Step]:
    """The steps that depend on the connection alone. ``peer``: ``host:port``; ``accepted``: its PROXY header."""
    steps = [Step("connection", peer, "the peer of the TCP connection")]
    if not expects_header:
        return steps
    if accepted is None:
        steps.append(Step("PROXY header", "not complete yet", "the client is not known"))
    elif accepted.version is None:
        steps.append(Step("PROXY header", "none", "allowed (optional): the peer is the client"))
    elif accepted.source is None:
        steps.append(Step(f"PROXY header v{accepted.version}", "LOCAL or UNKNOWN", "the peer speaks for itself"))
    else:
        source = format_address(*accepted.source)
        steps.append(Step(f"PROXY header v{accepted.version}", source, "believed, whoever sends it"))
    return steps


def explain_request(headers: Headers, client: Client, options: ClientAddressOptions) -> list[Step]:
    """The steps that a request with ``headers`` (as received) goes through on a connection from ``client``."""
    origin = locate(headers, client, options)
    sent = next((value for name, value in headers if name == b"x-forwarded-for"), None)
    steps = list(_look(headers, sent, client, options))
    if origin is None:
        assert isinstance(options.detection, CustomHeaderDetection), "no other detection refuses"
        return [*steps, Step("client", "unknown", f"refused with {options.detection.reject_status}")]
    facts = ["internal" if origin.internal else "external"]
    if origin.appended is not None:
        facts.append(f"x-forwarded-for gets {origin.appended.decode()}")
    return [*steps, Step("client", origin.address.decode(), ", ".join(facts))]


def _look(headers: Headers, sent: bytes | None, client: Client, options: ClientAddressOptions) -> list[Step]:
    shown = "none" if sent is None else _text(sent)
    detection = options.detection
    if options.use_remote_address:
        if sent is None or not options.xff_num_trusted_hops:
            return [Step("x-forwarded-for", shown, "not believed: the connection's client counts")]
        return [_hop(shown, sent, options.xff_num_trusted_hops - 1, client)]
    if isinstance(detection, CustomHeaderDetection):
        name = detection.header_name.decode()
        value = next((value for found, value in headers if found == detection.header_name), None)
        if parse_ip(value or b"", client.scope_index) is not None:
            return [Step(name, _text(value or b""), "an address: the client")]
        verdict = "the connection's client counts" if detection.reject_status is None else "the request is refused"
        return [Step(name, "none" if value is None else _text(value), f"no address: {verdict}")]
    if isinstance(detection, XffDetection) and detection.trusted_cidrs is not None:
        return _walk(shown, sent, client, detection)
    hops = options.xff_num_trusted_hops if detection is None else detection.xff_num_trusted_hops
    return [_hop(shown, sent or b"", hops, client)]


def _hop(shown: str, sent: bytes, skip: int, client: Client) -> Step:
    parts = sent.rsplit(b",", skip + 1)
    if len(parts) <= skip:
        return Step("x-forwarded-for", shown, f"has no entry behind {skip} others: the connection's client counts")
    place = "the last entry" if not skip else f"the entry before the last {skip}"
    if parse_ip(parts[-1 - skip].strip(), client.scope_index) is None:
        return Step("x-forwarded-for", shown, f"{place} is no address: the connection's client counts")
    return Step("x-forwarded-for", shown, f"{place} is the client")


def _walk(shown: str, sent: bytes | None, client: Client, detection: XffDetection) -> list[Step]:
    cidrs = detection.trusted_cidrs or ()
    if not in_networks(client.ip, cidrs):
        verdict = "in no trusted network: it is the client"
        return [Step("trustedCIDRs", client.address.decode(), verdict)]
    steps = [Step("trustedCIDRs", client.address.decode(), "trusted: x-forwarded-for counts")]
    entries = (sent or b"").split(b",", MAX_XFF_ENTRIES)
    if len(entries) > MAX_XFF_ENTRIES:
        verdict = f"more than {MAX_XFF_ENTRIES} entries: the connection's client counts"
        return [*steps, Step("x-forwarded-for", shown, verdict)]
    for entry in reversed(entries):
        ip = parse_ip(entry.strip(), client.scope_index)
        if ip is None:
            steps.append(Step("x-forwarded-for", _text(entry), "no address: the connection's client counts"))
            return steps
        trusted = in_networks(ip, cidrs)
        steps.append(Step("x-forwarded-for", format_ip(ip), "trusted: further left" if trusted else "not trusted"))
        if not trusted:
            return steps
    return [*steps, Step("x-forwarded-for", "all trusted", "the leftmost is the client")]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace") or "empty"
