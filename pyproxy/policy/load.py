"""Resource files to settings and statuses, or to every mistake that is in them.

Documents (YAML), then each object by itself, then the objects together; what is wrong in one round does not keep the
next from looking at the rest, so that all mistakes come at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pyproxy.errors import PolicyError, PolicyErrors
from pyproxy.policy.attach import Attachment, attach, key
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Document, parse
from pyproxy.policy.model import Backend, Gateway, HTTPRoute, Resource, Service
from pyproxy.policy.references import check_references, check_unique
from pyproxy.policy.release import Release
from pyproxy.policy.status import format_status
from pyproxy.policy.translate import Backends, translate
from pyproxy.policy.validate import Object, validate
from pyproxy.settings import Listener, Settings

R = TypeVar("R", bound=Resource)

STDIN = Path("-")
SUFFIXES = (".yaml", ".yml", ".json")
"""Files that are read in a folder."""


@dataclass(slots=True)
class Loaded:
    """What the files amount to."""

    settings: Settings
    policies: list[ClientTrafficPolicy]
    attachment: Attachment
    read_at: datetime

    def policies_of(self, listener: Listener) -> list[str]:
        """``namespace/name`` of each policy that applies to a listener."""
        namespace, gateway, name = listener.name.split("/")
        policy = self.attachment.applied.get((namespace, gateway, name))
        return ["/".join(key(policy.metadata))] if policy is not None else []

    def status(self, output: str, now: datetime) -> str:
        """The policies' statuses as ``table``, ``yaml`` or ``json``."""
        return format_status(self.policies, self.attachment, output=output, now=now, since=self.read_at)


def load(paths: Sequence[Path], *, release: Release, address: str, now: datetime) -> Loaded:
    """Read files, folders (not those in them) and ``-``, standard input. Raises ``PolicyErrors``."""
    errors: list[PolicyError] = []
    files = [file for path in paths for file in _files(path, errors)]
    texts = [(str(file), text) for file in files if (text := _read(file, errors)) is not None]
    return load_texts(texts, release=release, address=address, now=now, errors=errors)


def load_texts(
    texts: Iterable[tuple[str, str]],
    *,
    release: Release,
    address: str,
    now: datetime,
    errors: Sequence[PolicyError] = (),
) -> Loaded:
    """The same for (name, text) pairs already read, after these ``errors``. Raises ``PolicyErrors``."""
    found = list(errors)
    complete = not errors
    documents: list[Document] = []
    name = "no file"
    for name, text in texts:
        parsed = parse(text, name)
        documents += parsed.documents
        found += parsed.errors
        complete = complete and parsed.complete
    objects = [one for document in documents if (one := validate(document, found)) is not None]
    check_unique(objects, found)
    left_out = check_references(objects, found, complete=complete)
    found = found or left_out
    gateways = _of_kind(objects, Gateway)
    if not gateways and not found:
        message = "there is no Gateway, so there is nothing to listen on; add its file with another -f"
        found.append(PolicyError(name, 1, 1, "", message))
    if found:
        raise PolicyErrors(sorted(set(found)))
    policies = _of_kind(objects, ClientTrafficPolicy)
    attachment = attach(gateways, policies)
    backends = Backends(
        {key(backend.metadata): backend for backend in _of_kind(objects, Backend)},
        {key(service.metadata): service for service in _of_kind(objects, Service)},
    )
    settings = translate(gateways, _of_kind(objects, HTTPRoute), backends, attachment, release, address)
    return Loaded(settings, policies, attachment, now)


def _of_kind(objects: Sequence[Object], kind: type[R]) -> list[R]:
    return [one.resource for one in objects if isinstance(one.resource, kind)]


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
    return sorted(file for file in files if file.is_file())


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
