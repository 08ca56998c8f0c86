"""Which policy applies to which listener, as Envoy Gateway decides it.

Targets with a section name go first, then whole Gateways; within each the older policy first, then by namespace and
name. The first to claim a listener keeps it, also where it then turns out to be invalid, and nothing is merged. What a
policy gets to hear about each of its targets is a list of conditions (``policy.status`` prints them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Path, format_path
from pyproxy.policy.model import Gateway, GatewayListener, ListenerSet
from pyproxy.policy.targets import Surroundings, Target, targets
from pyproxy.policy.translation_errors import Mistake, condition_message, find_mistakes, sentence, what_applies

ListenerKey = tuple[str, str, str]
"""(namespace, Gateway, listener)."""
PolicyKey = tuple[str, str]
"""(namespace, name)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """metav1.Condition without its time."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(slots=True)
class Ancestor:
    """What one policy hears about one target."""

    kind: str
    """Gateway or ListenerSet."""
    namespace: str
    gateway: str
    """The name of either."""
    section: str | None
    conditions: list[Condition] = field(default_factory=list)

    def set(self, *conditions: Condition) -> None:
        """Add conditions; one of a type that is there takes its place."""
        for condition in conditions:
            types = [one.type for one in self.conditions]
            if condition.type in types:
                self.conditions[types.index(condition.type)] = condition
            else:
                self.conditions.append(condition)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a listener has of its policy."""

    policy: ClientTrafficPolicy
    """Of one that the translator refuses, the part that applies all the same."""
    is_invalid: bool = False
    """The translator refuses it: every route of the listener answers 500."""


@dataclass(slots=True)
class Attachment:
    """The result for all policies."""

    applied: dict[ListenerKey, Applied] = field(default_factory=dict)
    """What applies to each listener; a listener without a policy is not in it."""
    claimed: set[ListenerKey] = field(default_factory=set)
    """Listeners that a policy has by their section name; also where it applies to nothing."""
    ancestors: dict[PolicyKey, list[Ancestor]] = field(default_factory=dict)
    """By policy."""
    mistakes: list[tuple[PolicyKey, Path, str]] = field(default_factory=list)
    """(policy, place in its document, message) of everything for which a policy is not accepted."""


ACCEPTED = Condition("Accepted", True, "Accepted", "Policy has been accepted.")


def attach(
    policies: Sequence[ClientTrafficPolicy],
    around: Surroundings,
    route_hostnames: Mapping[ListenerKey, Sequence[str]],
) -> Attachment:
    """Give every listener its policy and every policy its conditions.

    ``route_hostnames`` has the hostname of each match of each route of a listener.
    """
    attaching = _Attaching(around, route_hostnames)
    ordered = sorted(policies, key=lambda policy: policy.metadata.by_age)
    found = [(policy, target) for policy in ordered for target in targets(policy, around)]
    for policy, target in found:
        if target.section is not None:
            attaching.section(policy, target, target.section)
    for kind in ("ListenerSet", "Gateway"):
        for policy, target in found:
            if target.section is None and target.gateway.kind == kind:
                attaching.whole(policy, target)
    return attaching.result


class _Attaching:
    def __init__(self, around: Surroundings, route_hostnames: Mapping[ListenerKey, Sequence[str]]) -> None:
        self.result = Attachment()
        self._around = around
        self._route_hostnames = route_hostnames
        self._wholes: set[tuple[str, str]] = set()
        """Gateways and ListenerSets that a policy has as a whole."""

    def section(self, policy: ClientTrafficPolicy, target: Target, section: str) -> None:
        """A policy for one listener."""
        gateway = target.gateway
        namespace, name = gateway.metadata.key
        listener = next((one for one in gateway.spec.listeners if one.name == section), None)
        place = (*target.place, "sectionName")
        if listener is None:
            message = f"No section name {section} found for Gateway {namespace}/{name}"
            if isinstance(gateway, ListenerSet):
                message = f'ListenerSet {namespace}/{name} does not have a listener named "{section}"'
            self._refuse(policy, target, place, "TargetNotFound", message)
            return
        if (*_key(gateway), section) in self.result.claimed:
            message = f"Unable to target section of {name}, another ClientTrafficPolicy has already attached to it"
            self._refuse(policy, target, place, "Conflicted", message)
            return
        self.result.claimed.add((*_key(gateway), section))
        shared = self._sharing_port(gateway, listener)
        if shared:
            self._refuse(policy, target, place, "Invalid", sentence(_same_port(shared)))
        else:
            self._apply(policy, target, [listener])
        self._warn(policy, target, [listener])

    def whole(self, policy: ClientTrafficPolicy, target: Target) -> None:
        """A policy for all listeners of a Gateway or ListenerSet that no other has."""
        gateway = target.gateway
        if _key(gateway) in self._wholes:
            whole = f"{gateway.kind} {gateway.metadata.name}"
            message = f"Unable to target {whole}, another ClientTrafficPolicy has already attached to it"
            self._refuse(policy, target, target.place, "Conflicted", message)
            return
        self._wholes.add(_key(gateway))
        free: list[GatewayListener] = []
        overridden: list[GatewayListener] = []
        for listener in gateway.spec.listeners:
            is_claimed = (*_key(gateway), listener.name) in self.result.claimed
            (overridden if is_claimed else free).append(listener)
        if overridden:
            sections = " ".join(sorted(listener.name for listener in overridden))
            message = f"There are existing ClientTrafficPolicies that are overriding these sections [{sections}]"
            self._ancestor(policy, target).set(Condition("Overridden", True, "Overridden", message))
        self._apply(policy, target, free)
        self._warn(policy, target, free)

    def _sharing_port(self, of: Gateway | ListenerSet, listener: GatewayListener) -> list[tuple[bool, str]]:
        """The others of a Gateway and its ListenerSets on an HTTP listener's port: (whether it is ``of``'s, name)."""
        if listener.protocol != "HTTP":
            return []
        parent = of.parent if isinstance(of, ListenerSet) else of.metadata.key
        holders: list[Gateway | ListenerSet] = [one for one in self._around.gateways if one.metadata.key == parent]
        holders += [one for one in self._around.listener_sets if one.parent == parent]
        return [
            (one is of, "/".join((*one.metadata.key, other.name)))
            for one in holders
            for other in one.spec.listeners
            if other.port == listener.port and other is not listener
        ]

    def _apply(self, policy: ClientTrafficPolicy, target: Target, listeners: Sequence[GatewayListener]) -> None:
        """Translate a policy for the listeners that are now its own."""
        found: list[list[Mistake]] = []
        for listener in listeners:
            key = (*_key(target.gateway), listener.name)
            hostnames = self._route_hostnames.get(key, ())
            foreign = [one for one in self._sharing_port(target.gateway, listener) if not one[0]]
            if foreign:
                found.append([Mistake("", target.place, _same_port(foreign))])
                continue
            mistakes = find_mistakes(policy.spec, listener.hostname, hostnames, listener.protocol)
            if mistakes:
                found.append(mistakes)
                self.result.applied[key] = Applied(what_applies(policy, mistakes), is_invalid=True)
            else:
                self.result.applied[key] = Applied(policy)
        if found:
            message = condition_message(found)
            self._ancestor(policy, target).set(Condition("Accepted", False, "Invalid", message))
            for mistake in (mistake for mistakes in found for mistake in mistakes):
                self.result.mistakes.append((policy.metadata.key, mistake.path, mistake.message))
        else:
            self._ancestor(policy, target).set(ACCEPTED)

    def _refuse(self, policy: ClientTrafficPolicy, target: Target, place: Path, reason: str, message: str) -> None:
        self._ancestor(policy, target).set(Condition("Accepted", False, reason, message))
        self.result.mistakes.append((policy.metadata.key, place, message))

    def _warn(self, policy: ClientTrafficPolicy, target: Target, listeners: Sequence[GatewayListener]) -> None:
        used = sorted((format_path(path), instead) for path, instead in policy.spec.deprecated())
        warnings = [("DeprecatedField", f"{old} is deprecated, use {new} instead") for old, new in used]
        tls = policy.spec.tls
        if policy.spec.http3 is not None and tls is not None and tls.client_validation is not None:
            warnings += [
                (
                    "UnsupportedHTTP3ClientValidation",
                    (
                        f'HTTP/3 was disabled for listener "{listener.name}" because Envoy does not support downstream '
                        "client TLS validation over QUIC"
                    ),
                )
                for listener in listeners
                if listener.protocol == "HTTPS"
            ]
        if warnings:
            reasons = {reason for reason, _ in warnings}
            reason = reasons.pop() if len(reasons) == 1 else "Warnings"
            message = "; ".join(message for _, message in warnings)
            self._ancestor(policy, target).set(Condition("Warning", True, reason, message))

    def _ancestor(self, policy: ClientTrafficPolicy, target: Target) -> Ancestor:
        """The one for the target; a policy that names a target twice has one."""
        of_policy = self.result.ancestors.setdefault(policy.metadata.key, [])
        kind, (namespace, name) = target.gateway.kind, target.gateway.metadata.key
        for one in of_policy:
            if (one.kind, one.namespace, one.gateway, one.section) == (kind, namespace, name, target.section):
                return one
        of_policy.append(Ancestor(kind, namespace, name, target.section))
        return of_policy[-1]


def _same_port(listeners: Sequence[tuple[bool, str]]) -> str:
    names = ", ".join(name for _, name in listeners)
    return (
        f"ClientTrafficPolicy is being applied to multiple http (non https) listeners ({names}) on the same port, "
        "which is not allowed"
    )


def _key(of: Gateway | ListenerSet) -> tuple[str, str]:
    """(namespace, name); no Gateway can have that of a ListenerSet."""
    namespace, name = of.metadata.key
    return (namespace, f"ListenerSet/{name}") if isinstance(of, ListenerSet) else (namespace, name)
