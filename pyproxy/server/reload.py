"""Settings that follow the files: build, validate, swap, drain.

New settings are made of all the files together, beside the traffic. Only if there is no mistake in them and every
address can be had do they take the place of those before; else nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from watchfiles._rust_notify import RustNotify

from pyproxy.errors import PolicyError, PolicyErrors
from pyproxy.observe.stats import UpdateStats
from pyproxy.policy.load import STDIN, Loaded, load_texts, read_files
from pyproxy.policy.release import Release
from pyproxy.server.beside_traffic import beside_traffic
from pyproxy.server.listening import StartError
from pyproxy.server.systemd import Notifier
from pyproxy.server.terminal import reload_lines, say
from pyproxy.settings import Settings

SETTLE = 50
"""Milliseconds without a further change in the folders before the files are read: one save is often several changes."""

SETTLE_AT_MOST = 400
"""Milliseconds after which they are read in any case."""

LOOK_AGAIN = 1000
"""Milliseconds after which they are read though no change was reported: some file systems report none."""

Texts = tuple[list[tuple[str, str]], list[PolicyError]]
"""(name, text) of what could be read, and what could not."""


class Source:
    """Where the resources come from, and what was read there last."""

    def __init__(
        self, paths: Sequence[Path], *, release: Release, address: str, texts: Sequence[tuple[str, str]] = ()
    ) -> None:
        """``paths``: files, folders, and ``-`` for standard input, which is read once; ``texts`` come before them."""
        self.paths = [path for path in paths if path != STDIN]
        """Those that can change."""
        self._release = release
        self._address = address
        typed, errors = read_files([STDIN]) if STDIN in paths else ([], [])
        self._fixed: Texts = ([*texts, *typed], errors)
        self._last: Texts = ([], [])

    def load(self) -> Loaded:
        """What there is now. Raises ``PolicyErrors``."""
        self._last = texts, errors = self._read()
        now = datetime.now(UTC)
        return load_texts(texts, release=self._release, address=self._address, now=now, errors=errors)

    def has_changed(self) -> bool:
        """Whether another ``load`` would read something else than the last one."""
        return self._read() != self._last

    def _read(self) -> Texts:
        texts, errors = read_files(self.paths)
        return [*self._fixed[0], *texts], [*self._fixed[1], *errors]

    def folders(self) -> set[Path]:
        """Where something happens when one of the files changes."""
        return folders_of(self.paths)


def folders_of(paths: Sequence[Path]) -> set[Path]:
    """Where something happens when what is read at ``paths`` changes: the folder of every file and symbolic link.

    A ConfigMap's files are links into ``..data``, itself a link that is swapped; the files proper never change.
    """
    found: set[Path] = set()
    seen: set[Path] = set()
    todo = [Path(os.path.abspath(path)) for path in paths]
    with contextlib.suppress(OSError):  # a folder that goes meanwhile, or may not be read
        todo += [file for path in todo if path.is_dir() for file in path.iterdir() if not file.is_dir()]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        link = next((part for part in (*reversed(path.parents), path) if os.path.islink(part)), None)
        if link is not None:
            found.add(link.parent)
            todo.append(Path(os.path.abspath(os.path.join(link.parent, os.readlink(link), path.relative_to(link)))))
        else:
            found.add(next(folder for folder in (path, *path.parents) if os.path.isdir(folder)))
    return found


class Reloader:
    """Puts what a source gives into force, each time it changes and each time SIGHUP asks for it."""

    def __init__(
        self, source: Source, loaded: Loaded, apply: Callable[[Settings], Awaitable[None]], notifier: Notifier
    ) -> None:
        """``loaded`` is in force; ``apply`` puts other settings into force, or raises ``StartError`` and does not."""
        self.loaded = loaded
        self.stats = UpdateStats()
        self._source = source
        self._apply = apply
        self._notifier = notifier
        self._reloading = asyncio.Lock()
        self._hangup = asyncio.Event()

    @asynccontextmanager
    async def running(self, *, watch: bool, stop: Callable[[], None]) -> AsyncIterator[None]:
        """Reload when it is time to while the block runs; with ``watch`` also when files change.

        ``stop`` is called where SIGHUP means what it says: that the terminal has gone.
        """
        loop = asyncio.get_running_loop()
        at_terminal = sys.stderr.isatty()

        def on_hangup() -> None:
            if at_terminal and not sys.stderr.isatty():
                stop()
            else:
                self._hangup.set()

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        tasks = [loop.create_task(self._on_hangups(), name="SIGHUP")]
        if watch and self._source.paths:
            tasks.append(loop.create_task(self._on_changes(), name="watch"))
        try:
            yield
        finally:
            # SIGHUP stays handled: by default it would end what drains now.
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _on_hangups(self) -> None:
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            await self._reload()

    async def _on_changes(self) -> None:
        async with aclosing(_look_at(self._source)) as looks:
            async for _ in looks:
                if await asyncio.to_thread(self._source.has_changed):
                    await self._reload()

    async def _reload(self) -> None:
        async with self._reloading:
            self._notifier.reloading()
            status = "serving, but not what is in the files: see the log"
            try:
                loaded = await beside_traffic(self._source.load)
                await self._apply(loaded.settings)
            except PolicyErrors as errors:
                self.stats.update_rejected += 1
                for error in errors.errors:
                    say(str(error))
                say("pyproxy: not reloaded: what was served before goes on")
            except StartError as error:
                self.stats.update_rejected += 1
                say(f"pyproxy: not reloaded: {error}")
            else:
                for problem in loaded.problems:
                    say(str(problem))
                for line in await beside_traffic(reload_lines, self.loaded, loaded):
                    say(line)
                self.loaded = loaded
                self.stats.update_success += 1
                status = "serving"
            self._notifier.ready(status)


async def _look_at(source: Source) -> AsyncGenerator[None]:
    """Yields when ``source`` may have changed; never ends."""
    stop = threading.Event()
    try:
        while True:
            folders = await asyncio.to_thread(source.folders)
            try:
                # Not by awatch, which does not tell when it begins to watch: a change just before would go unseen.
                with _watcher(folders) as watcher:
                    yield
                    while await asyncio.to_thread(source.folders) == folders:
                        await asyncio.to_thread(watcher.watch, SETTLE_AT_MOST, SETTLE, LOOK_AGAIN, stop)
                        yield
            except (OSError, RuntimeError):
                # A folder has gone meanwhile, or the system has no more to watch with.
                await asyncio.sleep(LOOK_AGAIN / 1000)
                yield
    finally:
        stop.set()


def _watcher(folders: set[Path]) -> RustNotify:
    return RustNotify(
        [str(folder) for folder in folders if folder.is_dir()],
        debug=False,
        force_polling=False,
        poll_delay_ms=0,
        recursive=False,
        ignore_permission_denied=True,
    )
