"""Where access log lines go: records are formatted some at a time and queued, and a thread writes.

So a slow disk, or a reader who has stopped reading, never holds up traffic. Past ``MAX_QUEUED`` lines new ones are
dropped and counted, and so are lines that a full disk refuses.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from pyproxy.observe.log_format import Formatter
from pyproxy.observe.request_log import RequestLog
from pyproxy.observe.stats import FileStats

MAX_QUEUED: Final = 100_000
"""Lines that wait for a slow reader; some 60 MB."""

FORMAT_AT_ONCE: Final = 32
"""Records; formatting them one after the other takes half the time that it takes between requests (measured)."""

WRITE_INTERVAL: Final = 0.2
"""Seconds between two writes of what has gathered."""

WRITE_AT_ONCE: Final = 65_536
"""Bytes; what a pipe holds, so that it is known how many a reader has left."""


class AccessLog:
    """Writes lines to a file descriptor from a thread of its own."""

    def __init__(
        self,
        target: str,
        formatter: Formatter,
        stats: FileStats | None = None,
        *,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """``target``: a path, or ``-`` for standard output. Raises ``OSError`` if it can't be written.

        ``turn`` is held while writing, where other processes write to the same target.
        """
        self.stats = stats or FileStats()
        self._formatter = formatter
        self._turn = turn or nullcontext()
        self._path = None if target == "-" else Path(target)
        self._descriptor = os.dup(sys.stdout.fileno()) if self._path is None else _open(self._path)
        self._records: list[RequestLog] = []
        self._formatting = threading.Lock()
        self._lines: list[bytes] = []
        self._unwritten = memoryview(b"")
        """What has been taken out of the lines and is being written."""
        self._reopen = False
        self._stopped = threading.Event()
        self._writer = threading.Thread(target=self._run, name="access log", daemon=True)
        self._writer.start()

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self.stats.lines_dropped + self.stats.lines_failed

    def write(self, record: RequestLog) -> None:
        """Queue one line; never blocks."""
        if len(self._lines) < MAX_QUEUED:
            self._records.append(record)
            self.stats.write_buffered += 1
            if len(self._records) >= FORMAT_AT_ONCE:
                self._format()
        else:
            self.stats.lines_dropped += 1

    def reopen(self) -> None:
        """Open the path anew, for one that has been moved away; lines from now on go there, and a few before."""
        self._reopen = True

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, for ``timeout`` seconds at most; what has not been written then is lost."""
        self._stopped.set()
        self._writer.join(timeout)
        if self._writer.is_alive():
            unwritten = bytes(self._unwritten).count(b"\n")
            self.stats.lines_dropped += unwritten + len(self._lines) + len(self._records)
        else:
            os.close(self._descriptor)

    def _format(self) -> None:
        """Make lines of the records, in both threads: what is taken must be cut from the front of the same list."""
        with self._formatting:
            count = len(self._records)
            records = self._records[:count]
            del self._records[:count]
            self._lines += list(map(self._formatter, records))

    def _run(self) -> None:
        while not self._stopped.wait(WRITE_INTERVAL):
            self._write_queued()
        self._write_queued()

    def _write_queued(self) -> None:
        if self._reopen:
            self._reopen = False
            self._open_anew()
        self._format()
        count = len(self._lines)
        if not count:
            return
        self._unwritten = memoryview(b"".join(self._lines[:count]))
        del self._lines[:count]
        self.stats.flushed_by_timer += 1
        with self._turn:
            self._write()

    def _write(self) -> None:
        while self._unwritten:
            try:
                written = os.write(self._descriptor, self._unwritten[:WRITE_AT_ONCE])
            except OSError:
                self.stats.write_failed += 1
                self.stats.lines_failed += bytes(self._unwritten).count(b"\n")
                written = len(self._unwritten)
            else:
                self.stats.write_completed += 1
            self._unwritten = self._unwritten[written:]

    def _open_anew(self) -> None:
        if self._path is None:
            return
        try:
            opened = _open(self._path)
        except OSError as error:
            # Better the old file than none.
            self.stats.reopen_failed += 1
            _say_aside(
                f"pyproxy: the access log {self._path} can't be opened anew: {error.strerror}; it stays as it was"
            )
            return
        old, self._descriptor = self._descriptor, opened
        with contextlib.suppress(OSError):
            os.close(old)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _say_aside(line: str) -> None:
    """Say it on standard error, in a thread of its own: whoever should read that may have stopped, and lines go on."""

    def say() -> None:
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the operator's log is standard error

    threading.Thread(target=say, name="access log trouble", daemon=True).start()
