"""What the kernel says about a running process."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int:
    """Bytes of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that the process has used, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def descriptors(pid: int) -> int:
    """Open file descriptors."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass(slots=True)
class Stopwatch:
    """Wall-clock and CPU seconds of a process since this was made."""

    pid: int
    _started: float = field(default_factory=time.monotonic)
    _cpu: float = 0.0

    def __post_init__(self) -> None:
        self._cpu = cpu_seconds(self.pid)

    @property
    def seconds(self) -> float:
        """Wall-clock."""
        return time.monotonic() - self._started

    @property
    def cpu(self) -> float:
        """Of the process."""
        return cpu_seconds(self.pid) - self._cpu

    @property
    def load(self) -> float:
        """Percent of one core."""
        return 100 * self.cpu / self.seconds


def open_sockets(pid: int | None = None) -> set[str]:
    """The sockets of a process, this one without ``pid``, by inode."""
    folder = Path(f"/proc/{pid or 'self'}/fd")
    found = set()
    for entry in os.listdir(folder):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(folder / entry))
    return {target for target in found if target.startswith("socket:")}
