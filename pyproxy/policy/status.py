"""A policy's status as Kubernetes shows it: ``status.ancestors`` in full, or one word in a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from pyproxy.policy.attach import Ancestor, Attachment, Condition
from pyproxy.policy.client_traffic_policy import GATEWAY_GROUP, ClientTrafficPolicy
from pyproxy.policy.model import Metadata

CONTROLLER_NAME = "gateway.envoyproxy.io/gatewayclass-controller"

MAX_ANCESTORS = 16
"""What Gateway API's PolicyStatus has room for."""
AGGREGATED = Condition(
    "Aggregated",
    True,
    "Aggregated",
    "Ancestors have been truncated because the number of policy ancestors exceeds 16.",
)


MAX_MESSAGE = 32768
"""What metav1.Condition has room for."""
TRUNCATED = " (message truncated)."


def status_objects(
    policies: Sequence[ClientTrafficPolicy], attachment: Attachment, now: datetime
) -> list[dict[str, Any]]:
    """Each policy with its spec and its status in the shape of Gateway API's PolicyStatus."""
    return [
        {
            "apiVersion": policy.api_version,
            "kind": policy.kind,
            "metadata": _metadata(policy.metadata),
            "spec": policy.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
            "status": {"ancestors": _ancestors(policy, attachment, now)},
        }
        for policy in policies
    ]


def _metadata(metadata: Metadata) -> dict[str, Any]:
    """What a cluster would keep of it, in kubectl's order."""
    shown = metadata.model_dump(
        mode="json",
        by_alias=True,
        exclude_unset=True,
        include={"annotations", "creation_timestamp", "generation", "labels", "name", "resource_version", "uid"},
    )
    return dict(sorted({**shown, "namespace": metadata.namespace}.items()))


def _ancestors(policy: ClientTrafficPolicy, attachment: Attachment, now: datetime) -> list[dict[str, Any]]:
    ancestors = attachment.ancestors.get(policy.metadata.key, [])
    if len(ancestors) > MAX_ANCESTORS:
        ancestors = sorted(ancestors, key=_urgency)
    shown = [_ancestor(ancestor, policy.metadata.generation, now) for ancestor in ancestors[:MAX_ANCESTORS]]
    if len(ancestors) > MAX_ANCESTORS:
        shown[-1]["conditions"].append(_condition(AGGREGATED, policy.metadata.generation, now))
    return shown


def _urgency(ancestor: Ancestor) -> tuple[int, str, str]:
    """Sort key for those that there is room for: not accepted before overridden before the rest."""
    found = {condition.type: condition.status for condition in ancestor.conditions}
    rank = 0 if found.get("Accepted") is False else 1 if found.get("Overridden") else 2
    return rank, ancestor.namespace, ancestor.gateway


def _ancestor(ancestor: Ancestor, generation: int, now: datetime) -> dict[str, Any]:
    reference = {
        "group": GATEWAY_GROUP,
        "kind": ancestor.kind,
        "name": ancestor.gateway,
        "namespace": ancestor.namespace,
    }
    if ancestor.section:
        reference["sectionName"] = ancestor.section
    return {
        "ancestorRef": reference,
        "controllerName": CONTROLLER_NAME,
        "conditions": [_condition(condition, generation, now) for condition in ancestor.conditions],
    }


def _condition(condition: Condition, generation: int, now: datetime) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": "True" if condition.status else "False",
        "reason": condition.reason,
        "message": _truncated(condition.message),
        "observedGeneration": generation,
        "lastTransitionTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _truncated(message: str) -> str:
    """As long as Kubernetes takes it."""
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - len(TRUNCATED)] + TRUNCATED


def format_status(
    policies: Sequence[ClientTrafficPolicy], attachment: Attachment, *, output: str, now: datetime, since: datetime
) -> str:
    """``table`` (``NAME STATUS AGE``, as kubectl prints it), ``yaml`` or ``json``, with a newline at the end.

    ``since``: when the policies were read; the age of one without a creationTimestamp.
    """
    if output == "table":
        return _table(policies, attachment, now, since)
    objects = status_objects(policies, attachment, now)
    listing = {"apiVersion": "v1", "kind": "List", "items": objects}
    if output == "json":
        return json.dumps(listing, indent=2) + "\n"
    return yaml.safe_dump(listing, sort_keys=False, width=120)


def _table(policies: Sequence[ClientTrafficPolicy], attachment: Attachment, now: datetime, since: datetime) -> str:
    rows = [("NAME", "STATUS", "AGE")]
    for policy in policies:
        created = policy.metadata.creation_timestamp or since
        seconds = max(0, int((now - created.astimezone(UTC)).total_seconds()))
        rows.append((policy.metadata.name, summary(attachment, policy), format_age(seconds)))
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(2)]
    return "".join(f"{row[0]:<{widths[0]}}{row[1]:<{widths[1]}}{row[2]}\n" for row in rows)


def summary(attachment: Attachment, policy: ClientTrafficPolicy) -> str:
    """The reason of the first Accepted condition, as the CRD's STATUS column shows it; empty without a target."""
    reasons = [
        condition.reason
        for ancestor in attachment.ancestors.get(policy.metadata.key, [])
        for condition in ancestor.conditions
        if condition.type == "Accepted"
    ]
    return reasons[0] if reasons else ""


def format_age(seconds: int) -> str:
    """Like kubectl: ``5s``, ``3m10s``, ``5h2m``, ``3d4h``."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{days}d{hours % 24}h" if days < 8 and hours % 24 else f"{days}d"
