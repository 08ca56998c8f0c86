"""Resource files to settings and statuses, or to every mistake that is in them.

Documents (YAML), then each object by itself, then the objects together; what is wrong in one round does not keep the
next from looking at the rest, so that all mistakes come at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pyproxy.errors import PolicyError, PolicyErrors
from pyproxy.policy.attach import Attachment, attach
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Document, parse
from pyproxy.policy.http_route import HTTPRoute
from pyproxy.policy.model import (
    Backend,
    Gateway,
    GatewayClass,
    ListenerSet,
    NamespaceObject,
    ReferenceGrant,
    Resource,
    Service,
)
from pyproxy.policy.references import check_references, check_unique
from pyproxy.policy.release import Release
from pyproxy.policy.status import CONTROLLER_NAME, format_status
from pyproxy.policy.targets import Surroundings
from pyproxy.policy.translate import translate
from pyproxy.policy.translate_routes import Backends, route_hostnames
from pyproxy.policy.validate import Object, ObjectKey, validate
from pyproxy.settings import Listener, Settings

R = TypeVar("R", bound=Resource)

STDIN = Path("-")
SUFFIXES = (".yaml", ".yml", ".json")
"""Files that are read in a folder."""


@dataclass(slots=True)
class Statuses:
    """What Envoy Gateway would say of the policies."""

    policies: list[ClientTrafficPolicy]
    attachment: Attachment
    read_at: datetime
    problems: list[PolicyError]
    """What there is to say beside them: errors that do not keep from serving, and warnings."""
    left_out: bool = False
    """Something in the files could not be read or would not be taken by a cluster, so it does not count."""

    def status(self, output: str, now: datetime) -> str:
        """The policies' statuses as ``table``, ``yaml`` or ``json``."""
        return format_status(self.policies, self.attachment, output=output, now=now, since=self.read_at)


@dataclass(slots=True)
class Loaded(Statuses):
    """What the files amount to, ready to be served."""

    settings: Settings = field(kw_only=True)
    documents: dict[ObjectKey, Document] = field(kw_only=True)
    """Where every object stands."""
    release: Release = field(kw_only=True)

    def policies_of(self, listener: Listener) -> list[str]:
        """``namespace/name`` of each policy that applies to a listener."""
        namespace, gateway, name = listener.name.split("/")
        applied = self.attachment.applied.get((namespace, gateway, name))
        if applied is None:
            return []
        invalid = " (invalid: every route answers 500)" if applied.is_invalid else ""
        return ["/".join(applied.policy.metadata.key) + invalid]


def load(paths: Sequence[Path], *, release: Release, address: str, now: datetime) -> Loaded:
    """Read files, folders (not those in them) and ``-``, standard input. Raises ``PolicyErrors``."""
    texts, errors = read_files(paths)
    return load_texts(texts, release=release, address=address, now=now, errors=errors)


def load_statuses(paths: Sequence[Path], *, now: datetime) -> Statuses:
    """The policies' statuses alone, from all that a cluster would take; the rest is among the ``problems``."""
    texts, errors = read_files(paths)
    return load_statuses_of_texts(texts, now=now, errors=errors)


def load_texts(
    texts: Iterable[tuple[str, str]],
    *,
    release: Release,
    address: str,
    now: datetime,
    errors: Sequence[PolicyError] = (),
) -> Loaded:
    """The same for (name, text) pairs already read, after these ``errors``. Raises ``PolicyErrors``."""
    resources = _Resources(texts, errors)
    problems = resources.problems
    # A warning, or a file that is missing, is for whoever has made no mistake.
    errors = [problem for problem in problems if not problem.is_warning]
    if not errors and resources.dangling.file_missing:
        errors = [*problems, *resources.dangling.file_missing]
    if errors:
        resources.leave_out_unsound()
        mistakes = [one for one in resources.mistakes(resources.attach()) if not one.is_warning]
        raise PolicyErrors(sorted({*errors, *resources.dangling.unresolved, *mistakes}))
    policies = resources.of_kind(ClientTrafficPolicy)
    attachment = resources.attach()
    backends = Backends(
        {backend.metadata.key: backend for backend in resources.of_kind(Backend)},
        {service.metadata.key: service for service in resources.of_kind(Service)},
    )
    gateways, routes = resources.of_kind(Gateway), resources.of_kind(HTTPRoute)
    settings = translate(gateways, routes, backends, attachment, release, address)
    problems = sorted({*problems, *resources.dangling.unresolved, *resources.mistakes(attachment)})
    documents = {one.key: one.document for one in resources.objects}
    return Loaded(policies, attachment, now, problems, settings=settings, documents=documents, release=release)


def load_statuses_of_texts(
    texts: Iterable[tuple[str, str]], *, now: datetime, errors: Sequence[PolicyError] = ()
) -> Statuses:
    """The same as ``load_statuses`` for (name, text) pairs already read, after these ``errors``."""
    resources = _Resources(texts, errors)
    left_out = resources.leave_out_unsound()
    attachment = resources.attach()
    problems = sorted({*resources.problems, *resources.dangling.unresolved, *resources.mistakes(attachment)})
    return Statuses(resources.of_kind(ClientTrafficPolicy), attachment, now, problems, left_out)


class _Resources:
    """All objects of some texts, and what is wrong with them by themselves and together."""

    def __init__(self, texts: Iterable[tuple[str, str]], errors: Sequence[PolicyError]) -> None:
        self.problems = list(errors)
        is_complete = not errors
        documents: list[Document] = []
        name = "no file"
        for name, text in texts:
            parsed = parse(text, name)
            documents += parsed.documents
            self.problems += parsed.errors
            is_complete = is_complete and parsed.complete
        self.objects = [one for document in documents if (one := validate(document, self.problems)) is not None]
        self._is_damaged = bool(self.problems)
        self.problems += [error for one in self.objects for error in one.refused]
        check_unique(self.objects, self.problems)
        self.dangling = check_references(self.objects, self.problems, complete=is_complete)
        if not self.of_kind(Gateway) and not self.dangling.file_missing:
            message = "there is no Gateway, so there is nothing to listen on; add its file with another -f"
            self.dangling.file_missing.append(PolicyError(name, 1, 1, "", message))

    def of_kind(self, kind: type[R]) -> list[R]:
        return [one.resource for one in self.objects if isinstance(one.resource, kind)]

    def leave_out_unsound(self) -> bool:
        """Keep what a cluster would take; whether there was anything else."""
        kept: dict[ObjectKey, Object] = {}
        for one in self.objects:
            if one.is_sound:
                kept.setdefault(one.key, one)
        is_left_out = self._is_damaged or len(kept) < len(self.objects)
        self.objects = list(kept.values())
        return is_left_out

    def attach(self) -> Attachment:
        gateways = self._envoy_gateways()
        keys = {gateway.metadata.key for gateway in gateways}
        sets = [one for one in self.of_kind(ListenerSet) if one.parent in keys]
        labels = {namespace.metadata.name: namespace.metadata.labels for namespace in self.of_kind(NamespaceObject)}
        around = Surroundings(gateways, sets, self.of_kind(ReferenceGrant), labels)
        return attach(self.of_kind(ClientTrafficPolicy), around, route_hostnames(gateways, self.of_kind(HTTPRoute)))

    def _envoy_gateways(self) -> list[Gateway]:
        """Those of Envoy Gateway's classes; without any class in the files, all."""
        classes = {one.metadata.name: one.spec.controller_name for one in self.of_kind(GatewayClass)}
        return [
            gateway
            for gateway in self.of_kind(Gateway)
            if not classes or classes.get(gateway.spec.gateway_class_name) == CONTROLLER_NAME
        ]

    def mistakes(self, attachment: Attachment) -> Iterator[PolicyError]:
        """Why policies are not accepted, and which selectors lead nowhere."""
        documents = {one.key: one.document for one in self.objects}
        for (namespace, name), path, message in attachment.mistakes:
            yield documents["ClientTrafficPolicy", namespace, name].error(path, message)
        for policy in self.of_kind(ClientTrafficPolicy):
            if policy.spec.target_selectors and policy.metadata.key not in attachment.ancestors:
                document = documents["ClientTrafficPolicy", *policy.metadata.key]
                message = "no Gateway is selected; one in another namespace needs a ReferenceGrant there"
                yield document.error(("spec", "targetSelectors"), message, is_warning=True)


def read_files(paths: Sequence[Path]) -> tuple[list[tuple[str, str]], list[PolicyError]]:
    """(name, text) of every file, and what could not be read."""
    errors: list[PolicyError] = []
    named = [file for path in paths for file in _files(path, errors)]
    files = {file.resolve(): file for file in reversed(named)}.values()  # one that is named twice is read once
    return [(str(file), text) for file in files if (text := _read(file, errors)) is not None], errors


def _files(path: Path, errors: list[PolicyError]) -> list[Path]:
    """The file itself, or a folder's resource files by name."""
    if not path.is_dir():
        return [path]
    try:
        files = [file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")]
    except OSError as error:
        errors.append(PolicyError(str(path), 1, 1, "", f"can't be read: {error.strerror}"))
        return []
    if not files:
        errors.append(PolicyError(str(path), 1, 1, "", f"the folder has no file with {', '.join(SUFFIXES)}"))
    # A link that leads nowhere is a file that can't be read.
    return sorted(file for file in files if file.is_file() or (file.is_symlink() and not file.exists()))


def _read(file: Path, errors: list[PolicyError]) -> str | None:
    try:
        data = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    except OSError as error:
        errors.append(PolicyError(str(file), 1, 1, "", f"can't be read: {error.strerror}"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        errors.append(PolicyError(str(file), line, 1, "", f"not UTF-8: {error.reason} at byte {error.start}"))
        return None
