"""Which Gateways a policy is for: those it names, and those that its selectors find.

A selector looks in the policy's own namespace unless its ``namespaces`` say otherwise, and finds something in another
one only where a ReferenceGrant there lets it; without one it finds nothing, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyproxy.policy.client_traffic_policy import (
    GATEWAY_GROUP,
    ClientTrafficPolicy,
    LabelSelectorRequirement,
    SelectorNamespaces,
    TargetSelector,
)
from pyproxy.policy.document import Path
from pyproxy.policy.model import Gateway, ListenerSet, Metadata, ReferenceGrant

POLICY_GROUP = "gateway.envoyproxy.io"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""Every namespace of a cluster has this label, with its name."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Gateway or ListenerSet that a policy is for, or one of its listeners."""

    place: Path
    """The targetRef or targetSelector, in the policy's document."""
    gateway: Gateway | ListenerSet
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is there beside the policies."""

    gateways: Sequence[Gateway]
    listener_sets: Sequence[ListenerSet] = ()
    grants: Sequence[ReferenceGrant] = ()
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the name of the namespace; one that is not in it has only the label that all have."""


def targets(policy: ClientTrafficPolicy, around: Surroundings) -> list[Target]:
    """What is found by selectors, oldest first, then what is named; nothing for names that lead nowhere."""
    everything: list[Gateway | ListenerSet] = [*around.gateways, *around.listener_sets]
    by_name = {(one.kind, *one.metadata.key): one for one in everything}
    found: list[Target] = []
    for index, selector in enumerate(policy.spec.target_selectors or []):
        for gateway in around.gateways:
            known = any(target.gateway is gateway for target in found)
            if not known and _selects(selector, policy.metadata.namespace, gateway, around):
                found.append(Target(("spec", "targetSelectors", index), gateway))
    found.sort(key=lambda target: target.gateway.metadata.by_age[:2])
    for place, ref in policy.spec.targets():
        own = policy.metadata.namespace
        named = by_name.get((ref.kind, own, ref.name)) if ref.namespace in (None, own) else None
        if named is None or (ref.section_name is None and _is_selected(found, named)):
            continue
        found.append(Target(place, named, ref.section_name))
    return found


def _is_selected(found: Sequence[Target], gateway: Gateway | ListenerSet) -> bool:
    return any(target.gateway is gateway and target.place[1] == "targetSelectors" for target in found)


def _selects(selector: TargetSelector, own: str, gateway: Gateway, around: Surroundings) -> bool:
    metadata = gateway.metadata
    labels = {NAMESPACE_LABEL: metadata.namespace, **around.namespace_labels.get(metadata.namespace, {})}
    return (
        selector.kind == "Gateway"
        and _takes_namespace(selector.namespaces, own, metadata.namespace, labels)
        and matches(selector.match_labels, selector.match_expressions, metadata.labels)
        and (metadata.namespace == own or any(_lets(grant, own, metadata) for grant in around.grants))
    )


def _takes_namespace(
    namespaces: SelectorNamespaces | None, own: str, namespace: str, labels: Mapping[str, str]
) -> bool:
    if namespaces is None or namespaces.from_ == "Same":
        return namespace == own
    if namespaces.from_ == "All":
        return True
    selector = namespaces.selector
    return selector is not None and matches(selector.match_labels, selector.match_expressions, labels)


def _lets(grant: ReferenceGrant, own: str, gateway: Metadata) -> bool:
    """Whether a grant beside ``gateway`` lets ClientTrafficPolicies of the namespace ``own`` refer to it."""
    return (
        grant.metadata.namespace == gateway.namespace
        and any(
            (one.group, one.kind, one.namespace) == (POLICY_GROUP, "ClientTrafficPolicy", own)
            for one in grant.spec.from_
        )
        and any(
            (one.group, one.kind) == (GATEWAY_GROUP, "Gateway") and one.name in (None, "", gateway.name)
            for one in grant.spec.to
        )
    )


def matches(
    match_labels: Mapping[str, str] | None,
    match_expressions: Sequence[LabelSelectorRequirement] | None,
    labels: Mapping[str, str],
) -> bool:
    """Whether ``labels`` are those of a label selector; an empty one takes all, one that makes no sense none."""
    return all(labels.get(name) == value for name, value in (match_labels or {}).items()) and all(
        _meets(requirement, labels) for requirement in match_expressions or []
    )


def _meets(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    if why_never(requirement) is not None:
        return False
    values = requirement.values or []
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in values
        case "NotIn":
            return labels.get(requirement.key) not in values
        case "Exists":
            return requirement.key in labels
        case _:
            return requirement.key not in labels


def why_never(requirement: LabelSelectorRequirement) -> str | None:
    """Why a requirement that the schema takes selects nothing, if it does not; Kubernetes' own words."""
    match requirement.operator, requirement.values:
        case "In" | "NotIn", None | []:
            return "for 'in', 'notin' operators, values set can't be empty"
        case "Exists" | "DoesNotExist", [_, *_]:
            return "values set must be empty for exists and does not exist"
        case "In" | "NotIn" | "Exists" | "DoesNotExist", _:
            return None
        case other, _:
            return f'"{other}" is not a valid label selector operator'
