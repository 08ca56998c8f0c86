"""The command line: verbs, flags and exit codes. Everything else is done by the rooms it calls.

Exit codes: 0 fine, 1 configuration, 2 usage, 3 cannot start, 4 drain timed out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import click

from pyproxy import __version__
from pyproxy.errors import PolicyErrors
from pyproxy.policy.load import Loaded, load, load_texts
from pyproxy.policy.release import Release

EXIT_CONFIGURATION = 1
EXIT_CANNOT_START = 3
EXIT_DRAIN_TIMED_OUT = 4

QUICKSTART_NAME = "quickstart.yaml"


def _files(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-f",
        "--file",
        "files",
        type=click.Path(path_type=Path),
        multiple=True,
        help="A resource file or a folder of them; may be given several times.",
    )(function)


def _release(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--release",
        type=click.Choice([release.value for release in Release]),
        default=Release.V0_6.value,
        show_default=True,
        help="The release of Envoy Gateway whose defaults apply.",
    )(function)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PYPROXY"})
@click.version_option(__version__, prog_name="pyproxy")
def main() -> None:
    """Do on this machine what Envoy Gateway's ClientTrafficPolicy makes an Envoy listener do."""


@main.command()
@_files
@_release
@click.option("--address", default="127.0.0.1", show_default=True, help="The IP address to listen on.")
@click.option("--admin", default="127.0.0.1:19000", show_default=True, help="HOST:PORT of the admin, or off.")
@click.option("--access-log", default="-", show_default=True, help="A file, - for standard output, or off.")
@click.option("--drain-time", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds.")
@click.option("--loop", type=click.Choice(["uvloop", "asyncio"]), default="uvloop", show_default=True)
def serve(
    files: tuple[Path, ...], release: str, address: str, admin: str, access_log: str, drain_time: float, loop: str
) -> None:
    """Serve resources until SIGTERM or SIGINT; without -f, the quickstart and its example backend."""
    from pyproxy.server.serve import ServeOptions, serve_forever

    _check_ip(address)
    loaded = _load(files, release, address)
    options = ServeOptions(
        address=address,
        admin=_host_port(admin) if admin != "off" else None,
        access_log=access_log if access_log != "off" else None,
        drain_time=drain_time,
        with_echo=not files,
        loop=loop,
    )
    sys.exit(serve_forever(loaded, options))


@main.command()
@_files
@_release
def validate(files: tuple[Path, ...], release: str) -> None:
    """Check resources and print every mistake with its file, line and column."""
    _need_files(files)
    loaded = _load(files, release, "127.0.0.1")
    listeners, policies = len(loaded.settings.listeners), len(loaded.policies)
    click.echo(f"OK: {_count(listeners, 'listener')}, {_count(policies, 'policy', 'policies')}")


@main.command()
@_files
@_release
@click.option("-o", "--output", type=click.Choice(["table", "yaml", "json"]), default="table", show_default=True)
def status(files: tuple[Path, ...], release: str, output: str) -> None:
    """Print the policies' statuses, as kubectl does for a cluster."""
    _need_files(files)
    loaded = _load(files, release, "127.0.0.1")
    click.echo(loaded.status(output, datetime.now(UTC)), nl=False)


@main.command()
@_files
@_release
@click.option("--address", default="127.0.0.1", show_default=True, help="The IP address to listen on.")
@click.option("-o", "--output", type=click.Choice(["envoy"]), default="envoy", show_default=True)
def translate(files: tuple[Path, ...], release: str, address: str, output: str) -> None:
    """Print the Envoy configuration (JSON) that does the same."""
    from pyproxy.envoy.bootstrap import render

    _need_files(files)
    _check_ip(address)
    click.echo(render(_load(files, release, address).settings), nl=False)


@main.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="The IP address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=3000, show_default=True)
def echo(address: str, port: int) -> None:
    """Run the guide's example application: it answers with what it received."""
    from pyproxy.server.serve import echo_forever

    _check_ip(address)
    sys.exit(echo_forever(address, port))


@main.command()
@click.option("-k", "pattern", default="", help="Run only cases whose name contains this.")
@click.option("--list", "list_only", is_flag=True, help="Print the cases and run none.")
@click.option("--fuzz", type=click.IntRange(1), metavar="N", help="Run N generated cases instead.")
@click.option("--seed", type=int, default=1, show_default=True, help="What --fuzz starts from.")
@click.option(
    "--proxy-protocol",
    type=click.Choice(["off", "required", "optional"]),
    default="off",
    show_default=True,
    help="Whether the listener under --fuzz reads PROXY headers; the generated cases are then about these.",
)
@_release
def conformance(pattern: str, list_only: bool, fuzz: int | None, seed: int, proxy_protocol: str, release: str) -> None:
    """Run the same policies and bytes through pyproxy and a real Envoy, and compare.

    --release is for --fuzz; the cases have their own.
    """
    from pyproxy.conformance.case import Group
    from pyproxy.conformance.run import run_conformance, run_fuzz

    if fuzz is None:
        sys.exit(run_conformance(pattern, list_only=list_only))
    optional = "true" if proxy_protocol == "optional" else "false"
    spec = "" if proxy_protocol == "off" else f"proxyProtocol: {{optional: {optional}}}"
    sys.exit(run_fuzz(Group(f"fuzz {release}", Release(release), spec), fuzz, seed))


def _load(files: tuple[Path, ...], release: str, address: str) -> Loaded:
    now = datetime.now(UTC)
    try:
        if files:
            return load(files, release=Release(release), address=address, now=now)
        text = resources.files("pyproxy").joinpath(QUICKSTART_NAME).read_text()
        return load_texts([(QUICKSTART_NAME, text)], release=Release(release), address=address, now=now)
    except PolicyErrors as errors:
        for error in errors.errors:
            click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIGURATION)


def _need_files(files: tuple[Path, ...]) -> None:
    if not files:
        raise click.UsageError("Missing option '-f' / '--file': name the resource files to read.")


def _check_ip(address: str) -> None:
    from ipaddress import ip_address

    try:
        ip_address(address)
    except ValueError:
        _usage("--address", f"{address} is not an IP address")


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        _usage("--admin", f"{text} is neither HOST:PORT nor off")
    return host, int(port)


def _usage(option: str, message: str) -> NoReturn:
    raise click.BadParameter(message, param_hint=option)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
