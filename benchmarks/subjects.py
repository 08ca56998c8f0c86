"""The proxies that are compared, each as a process (or several) on a core of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import configurations, machine
from pyproxy.envoy.bootstrap import render
from pyproxy.envoy.process import find_envoy, free_port
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release
from tests.support.processes import PYPROXY, Running, running, wait_for_port

PEERS = Path(__file__).parent / "peers"
COMPILED = Path(__file__).parents[1] / ".venv-compiled/bin/python"
"""The interpreter that has pyproxy as its wheel with the compiled data path; ``make bench`` sees to it."""
SIZES = (0, 1_000, 16_000, 256_000, 1_000_000, 10_000_000, 100_000_000)
"""Bytes of the bodies that the backend has."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a subject is to be set up for."""

    proxy_protocol: bool = False
    routes: int = 0
    """Routes beside the one for everything."""
    workers: int = 1


PLAIN = Work()


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are."""

    folder: Path
    backend_port: int
    cores: str
    """The subject's, as taskset takes them."""
    bench_python: Path
    """The interpreter that has the Python peers."""


@dataclass(frozen=True, slots=True)
class Started:
    """A running subject."""

    port: int
    process: Running

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        return machine.family(self.process.pid)


Command = Callable[[Place, Work, int], Sequence[str | Path]]
"""Writes its configuration for a port; the command that serves it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One proxy."""

    name: str
    command: Command
    is_python: bool = False
    """A peer in Python: one row of its own, and not in the curves."""
    proxy_protocol: bool = True
    """It can be told to want a PROXY header."""
    environment: Callable[[Place], dict[str, str]] = field(default=lambda _: {})

    def start(self, place: Place, work: Work = PLAIN) -> AbstractContextManager[Started]:
        """Run it, accepting connections, while the block runs."""
        return _start(self, place, work)

    def launch(self, place: Place, work: Work = PLAIN) -> AbstractContextManager[Started]:
        """The same, but the block begins as soon as the process does."""
        return _start(self, place, work, wait=False)


@contextmanager
def _start(subject: Subject, place: Place, work: Work, *, wait: bool = True) -> Iterator[Started]:
    port = free_port()
    command = subject.command(place, work, port)
    environment = [f"{name}={value}" for name, value in subject.environment(place).items()]
    with running(command, prefix=["taskset", "-c", place.cores, "env", *environment]) as process:
        if wait:
            wait_for_port(port)
        yield Started(port, process)


@contextmanager
def backend(folder: Path, core: str) -> Iterator[int]:
    """nginx that answers at once, or with a body of one of ``SIZES``; its port."""
    port = free_port()
    bodies = folder / "bodies"
    bodies.mkdir()
    for size in SIZES:
        with (bodies / str(size)).open("wb") as file:
            file.truncate(size)
    folder.chmod(0o755)  # nginx' workers give up root's rights
    config = folder / "backend.conf"
    config.write_text(configurations.backend(str(folder), port))
    with running(["nginx", "-c", config, "-p", folder], prefix=["taskset", "-c", core]):
        wait_for_port(port)
        yield port


def _pyproxy(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    return [COMPILED, "-P", "-m", "pyproxy", *_pyproxy_arguments(place, work, port)]


def _pyproxy_not_compiled(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    return [*PYPROXY, *_pyproxy_arguments(place, work, port)]


def _pyproxy_arguments(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    file = place.folder / f"pyproxy-{port}.yaml"
    file.write_text(_resources(place, work, port))
    log = place.folder / f"pyproxy-{port}.log"
    flags = ["--release", "v1.9", "--admin", "off", "--workers", str(work.workers)]
    return ["serve", "-f", file, *flags, "--access-log", log]


def _envoy(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    text = _resources(place, work, port)
    loaded = load_texts([("r.yaml", text)], release=Release.V1_9, address="127.0.0.1", now=datetime.now(UTC))
    config = place.folder / f"envoy-{port}.json"
    log = place.folder / f"envoy-{port}.log"
    config.write_text(render(loaded.settings, admin_port=free_port(), access_log=str(log)))
    flags = ["--concurrency", str(work.workers), "--use-dynamic-base-id", "-l", "error"]
    return [find_envoy(), "-c", config, *flags]


def _resources(place: Place, work: Work, port: int) -> str:
    return configurations.resources(port, place.backend_port, proxy_protocol=work.proxy_protocol, routes=work.routes)


def _haproxy(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    file = place.folder / f"haproxy-{port}.cfg"
    file.write_text(configurations.haproxy(port, place.backend_port, proxy_protocol=work.proxy_protocol))
    return ["haproxy", "-f", file]


def _nginx(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    file = place.folder / f"nginx-{port}.conf"
    folder = str(place.folder)
    file.write_text(configurations.nginx(folder, port, place.backend_port, proxy_protocol=work.proxy_protocol))
    return ["nginx", "-c", file, "-p", folder]


def _aiohttp(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    log = place.folder / f"aiohttp-{port}.log"
    return [place.bench_python, PEERS / "aiohttp_proxy.py", str(port), str(place.backend_port), log]


def _mitmproxy(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    options = [f"confdir={place.folder}", "keep_host_header=true", "connection_strategy=lazy"]
    flags = [argument for option in options for argument in ("--set", option)]
    mode = ["--mode", f"reverse:http://127.0.0.1:{place.backend_port}", "--listen-host", "127.0.0.1"]
    addon = ["-s", str(PEERS / "mitmproxy_addon.py")]
    return [place.bench_python.parent / "mitmdump", "-q", *mode, "--listen-port", str(port), *flags, *addon]


def _proxy_py(place: Place, work: Work, port: int) -> Sequence[str | Path]:
    # Without --threaded, release 2.4.10 answers no second request on a connection.
    flags = ["--threaded", "--num-workers", "1", "--num-acceptors", "1", "--disable-http-proxy"]
    plugin = ["--enable-reverse-proxy", "--plugins", "proxy_py_plugin.Forward"]
    log = ["--log-file", str(place.folder / f"proxy.py-{port}.log")]
    address = ["--hostname", "127.0.0.1", "--port", str(port)]
    return [place.bench_python, "-m", "proxy", *address, *flags, *plugin, *log]


PYPROXY_ITSELF = Subject("pyproxy", _pyproxy)
NOT_COMPILED = Subject("pyproxy, not compiled", _pyproxy_not_compiled)
ENVOY = Subject("Envoy", _envoy)
SUBJECTS = (
    PYPROXY_ITSELF,
    ENVOY,
    Subject("HAProxy", _haproxy),
    Subject("nginx", _nginx),
    Subject("aiohttp", _aiohttp, is_python=True, proxy_protocol=False),
    Subject(
        "mitmproxy",
        _mitmproxy,
        is_python=True,
        proxy_protocol=False,
        environment=lambda place: {"BENCH_LOG": str(place.folder / "mitmproxy.log")},
    ),
    Subject(
        "proxy.py",
        _proxy_py,
        is_python=True,
        proxy_protocol=False,
        environment=lambda place: {
            "BENCH_BACKEND": f"http://127.0.0.1:{place.backend_port}",
            "PYTHONPATH": str(PEERS),
        },
    ),
)
