"""Snapshots as ``/stats`` shows them: Envoy's text, its JSON, and the Prometheus exposition with its names and labels.

Names carry what Prometheus wants as labels, and Envoy cuts it out with patterns; so does this, and a cluster whose name
has a dot in it comes out as oddly as there.

prometheus-client is not used to write the exposition: it adds ``_total`` to the name of every counter, and Envoy's
counters, which dashboards know, have none. Its parser reads what is written here in the tests.

Source: Envoy, "Administration interface", well_known_names.cc for the tags; formats measured on 1.40.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pyproxy.observe.histogram import BUCKETS, QUANTILES, Bins, approximate_sum, cumulative, quantiles, width
from pyproxy.observe.stats import Snapshot

TYPES = ("All", "Counters", "Histograms", "Gauges", "TextReadouts")
BUCKET_MODES = ("cumulative", "disjoint", "detailed", "summary")

Intervals = tuple[Bins, Bins]
"""A histogram's last interval, and all of it."""

# (label, pattern, what stays of the match), in Envoy's order: the first label stands first in the exposition.
_TAGS = (
    ("envoy_response_code", re.compile(r"_rq_(\d{3})$"), "_rq"),
    ("envoy_response_code_class", re.compile(r"_rq_(\d)xx$"), "_rq_xx"),
    ("envoy_worker_id", re.compile(r"\.worker_(\d+)\."), ".worker."),
    ("envoy_http_conn_manager_prefix", re.compile(r"(?<=^http\.)(.*?)\.|(?<=\.http\.)([^.]+)\.(?=downstream_rq_)"), ""),
    ("envoy_listener_address", re.compile(r"(?<=^listener\.)([0-9a-fA-F_.\[\]]*?_\d+)\."), ""),
    ("envoy_cluster_name", re.compile(r"(?<=^cluster\.)(.*?)\."), ""),
    ("envoy_proxy_protocol_version", re.compile(r"(?<=^proxy_proto\.)versions\.v(\d)\."), ""),
)
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which stats to show (the query of ``/stats``)."""

    type: str = "All"
    matches: Callable[[bytes], bool] | None = None
    """Whether the filter finds something in a name."""
    inverted: bool = False
    """Show what the filter does not find."""
    used: frozenset[str] | None = None
    """Show only these names."""

    def __call__(self, name: str) -> bool:
        if self.used is not None and name not in self.used:
            return False
        return self.matches is None or self.matches(name.encode()) is not self.inverted

    def of(self, stats: dict[str, int], kind: str) -> dict[str, int]:
        """Those of ``stats``, which are all of one kind."""
        return {name: value for name, value in stats.items() if self(name)} if self.type in ("All", kind) else {}

    def histograms(self, snapshot: Snapshot) -> Iterator[tuple[str, Intervals]]:
        """The histograms, by name."""
        if self.type in ("All", "Histograms"):
            yield from ((name, bins) for name, bins in sorted(snapshot.histograms.items()) if self(name))


def used(snapshot: Snapshot) -> frozenset[str]:
    """The names of what has been written since the start (``usedonly``); take it before counters are reset.

    A gauge that is back at zero counts where its counter shows that it has been higher.
    """
    names = {name for name, value in snapshot.counters.items() if value}
    for name, value in snapshot.gauges.items():
        counter = snapshot.counters.get(name.removesuffix("_active").removesuffix("_buffered") + "_total")
        if value or counter or (counter is None and name.rpartition(".")[2] in _WRITTEN_AT_START):
            names.add(name)
    names.update(name for name, (_, bins) in snapshot.histograms.items() if bins)
    return frozenset(names)


_WRITTEN_AT_START = frozenset(
    (
        "cx_open",
        "cx_pool_open",
        "downstream_pre_cx_active",
        "fips_mode",
        "hot_restart_epoch",
        "live",
        "membership_degraded",
        "membership_excluded",
        "parent_connections",
        "rq_open",
        "rq_pending_open",
        "state",
        "total_connections",
        "uptime",
        "warming_state",
    )
)


def as_text(snapshot: Snapshot, selection: Selection, mode: str = "summary") -> str:
    """``name: value`` a line, histograms last."""
    plain = selection.of(snapshot.counters, "Counters") | selection.of(snapshot.gauges, "Gauges")
    lines = [f"{name}: {value}\n" for name, value in sorted(plain.items())]
    write = _TEXT[mode]
    lines += [f"{name}:{write(bins)}\n" for name, bins in selection.histograms(snapshot)]
    return "".join(lines)


def as_json(snapshot: Snapshot, selection: Selection, mode: str = "summary") -> str:
    """The same as one line of JSON, in Envoy's shape."""
    plain = selection.of(snapshot.counters, "Counters") | selection.of(snapshot.gauges, "Gauges")
    stats: list[object] = [{"name": name, "value": value} for name, value in sorted(plain.items())]
    histograms = list(selection.histograms(snapshot))
    if histograms:
        stats.append({"histograms": _JSON[mode](histograms)})
    return json.dumps({"stats": stats}, separators=(",", ":"))


def as_prometheus(snapshot: Snapshot, selection: Selection, mode: str = "cumulative") -> str:
    """The exposition format, version 0.0.4; ``mode`` is ``cumulative`` or ``summary``."""
    lines: list[str] = []
    for kind, stats in (("counter", snapshot.counters), ("gauge", snapshot.gauges)):
        for family, members in _families(selection.of(stats, kind.title() + "s")):
            lines.append(f"# TYPE {family} {kind}\n")
            lines += [f"{family}{{{labels}}} {stats[name]}\n" for name, labels in members]
    of_name = dict(selection.histograms(snapshot))
    for family, members in _families(of_name):
        lines.append(f"# TYPE {family} {'summary' if mode == 'summary' else 'histogram'}\n")
        write = _summary_lines if mode == "summary" else _bucket_lines
        for name, labels in members:
            lines += write(family, labels, of_name[name])
    return "".join(lines)


def prometheus_name(name: str) -> tuple[str, str]:
    """Family and labels of a stat: ``envoy_http_downstream_rq_xx`` and ``envoy_response_code_class="2",…``."""
    labels = []
    for label, pattern, rest in _TAGS:
        found = pattern.search(name)
        if found is not None:
            value = next(group for group in found.groups() if group is not None)
            labels.append(f'{label}="{_escape(value)}"')
            name = name[: found.start()] + rest + name[found.end() :]
    return "envoy_" + _NOT_IN_A_NAME.sub("_", name), ",".join(labels)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _families(names: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Families by name, each with (name, labels) of its members."""
    families: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(names):
        family, labels = prometheus_name(name)
        families.setdefault(family, []).append((name, labels))
    return sorted(families.items())


def _bucket_lines(family: str, labels: str, intervals: Intervals) -> list[str]:
    bins = intervals[1]
    count = sum(bins.values())
    before = labels + "," if labels else ""
    lines = [
        f'{family}_bucket{{{before}le="{_number(bound)}"}} {number}\n'
        for bound, number in zip(BUCKETS, cumulative(bins), strict=True)
    ]
    lines.append(f'{family}_bucket{{{before}le="+Inf"}} {count}\n')
    lines.append(f"{family}_sum{{{labels}}} {approximate_sum(bins):.32g}\n")
    lines.append(f"{family}_count{{{labels}}} {count}\n")
    return lines


def _summary_lines(family: str, labels: str, intervals: Intervals) -> list[str]:
    bins = intervals[0]
    before = labels + "," if labels else ""
    lines = [
        f'{family}{{{before}quantile="{_number(quantile)}"}} {_number(value)}\n'
        for quantile, value in zip(QUANTILES, quantiles(bins), strict=True)
    ]
    lines.append(f"{family}_sum{{{labels}}} {approximate_sum(bins):.32g}\n")
    lines.append(f"{family}_count{{{labels}}} {sum(bins.values())}\n")
    return lines


def _number(value: float) -> str:
    """The shortest decimal that is ``value``, without ``.0``; ``nan``."""
    return repr(value).removesuffix(".0")


def _text_summary(intervals: Intervals) -> str:
    if not intervals[1]:
        return " No recorded values"
    shown = zip(QUANTILES, quantiles(intervals[0]), quantiles(intervals[1]), strict=True)
    return "".join(f" P{_number(round(q * 100, 1))}({_number(one)},{_number(total)})" for q, one, total in shown)


def _text_buckets(intervals: Intervals, *, disjoint: bool = False) -> str:
    if not intervals[1]:
        return " No recorded values"
    counts = [_disjoint(cumulative(bins)) if disjoint else cumulative(bins) for bins in intervals]
    return "".join(f" B{bound:g}({one},{total})" for bound, one, total in zip(BUCKETS, *counts, strict=True))


def _text_detailed(intervals: Intervals) -> str:
    interval, total = intervals
    shown = [
        ", ".join(f"{low},{_number(width(low))}:{count}" for low, count in sorted(bins.items()))
        for bins in (total, interval)
    ]
    if not total:
        return " No recorded values"
    return f"\n  totals={shown[0]}\n  intervals={shown[1]}\n  summary={_text_summary(intervals).lstrip()}"


def _disjoint(counts: list[int]) -> list[int]:
    return [count - before for before, count in zip([0, *counts], counts, strict=False)]


_TEXT: dict[str, Callable[[Intervals], str]] = {
    "summary": _text_summary,
    "cumulative": _text_buckets,
    "disjoint": lambda intervals: _text_buckets(intervals, disjoint=True),
    "detailed": _text_detailed,
}


def _json_quantiles(intervals: Intervals) -> list[dict[str, float | None]]:
    pairs = zip(quantiles(intervals[1]), quantiles(intervals[0]), strict=True)
    return [
        {"cumulative": None if math.isnan(total) else total, "interval": None if math.isnan(one) else one}
        for total, one in pairs
    ]


def _json_summary(histograms: list[tuple[str, Intervals]]) -> object:
    return {
        "supported_quantiles": _PERCENTS,
        "computed_quantiles": [{"name": name, "values": _json_quantiles(bins)} for name, bins in histograms],
    }


def _json_buckets(histograms: list[tuple[str, Intervals]], *, disjoint: bool = False) -> object:
    shown = []
    for name, intervals in histograms:
        one, total = (_disjoint(cumulative(bins)) if disjoint else cumulative(bins) for bins in intervals)
        rows = zip(BUCKETS, one, total, strict=True)
        buckets = [{"upper_bound": bound, "interval": new, "cumulative": all_} for bound, new, all_ in rows]
        shown.append({"name": name, "buckets": buckets})
    return shown


def _json_detailed(histograms: list[tuple[str, Intervals]]) -> object:
    def bins_of(bins: Bins) -> list[dict[str, float]]:
        return [{"lower_bound": low, "width": width(low), "count": count} for low, count in sorted(bins.items())]

    details = [
        {
            "name": name,
            "totals": bins_of(intervals[1]),
            "intervals": bins_of(intervals[0]),
            "percentiles": _json_quantiles(intervals),
        }
        for name, intervals in histograms
    ]
    return {"supported_percentiles": _PERCENTS, "details": details}


_PERCENTS = [round(quantile * 100, 1) for quantile in QUANTILES]
_JSON: dict[str, Callable[[list[tuple[str, Intervals]]], object]] = {
    "summary": _json_summary,
    "cumulative": _json_buckets,
    "disjoint": lambda histograms: _json_buckets(histograms, disjoint=True),
    "detailed": _json_detailed,
}
