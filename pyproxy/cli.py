"""The command line: verbs, flags and exit codes. Everything else is done by the rooms it calls.

Exit codes: 0 fine, 1 configuration, 2 usage, 3 cannot start, 4 drain timed out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import click

from pyproxy import __version__
from pyproxy.errors import PolicyError, PolicyErrors
from pyproxy.policy.load import Loaded, load, load_statuses
from pyproxy.policy.release import Release
from pyproxy.wire import fast

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


_DATA_PATH = "its data path is Python" if fast.__file__.endswith(".py") else "its data path is compiled"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PYPROXY"})
@click.version_option(f"{__version__} ({_DATA_PATH})", prog_name="pyproxy")
def main() -> None:
    """Do on this machine what Envoy Gateway's ClientTrafficPolicy makes an Envoy listener do."""


@main.command()
@_files
@_release
@click.option("--address", default="127.0.0.1", show_default=True, help="The IP address to listen on.")
@click.option("--admin", default="127.0.0.1:19000", show_default=True, help="HOST:PORT of the admin, or off.")
@click.option("--access-log", default="-", show_default=True, help="A file, - for standard output, or off.")
@click.option(
    "--access-log-format",
    metavar="FORMAT",
    default="json",
    show_default=True,
    help="json (Envoy Gateway's), default (Envoy's), a text or JSON object with %OPERATORS%, or @FILE with one.",
)
@click.option("--drain-time", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds.")
@click.option("--watch/--no-watch", default=True, show_default=True, help="Reload files when they change.")
@click.option("--workers", type=click.IntRange(1, 512), default=1, show_default=True, help="Processes that serve.")
@click.option("--loop", type=click.Choice(["uvloop", "asyncio"]), default="uvloop", show_default=True)
def serve(
    files: tuple[Path, ...],
    release: str,
    address: str,
    admin: str,
    access_log: str,
    access_log_format: str,
    drain_time: float,
    watch: bool,
    workers: int,
    loop: str,
) -> None:
    """Serve resources until SIGTERM or SIGINT; without -f, the quickstart and its example backend.

    The files are read again when they change and on SIGHUP; one with a mistake changes nothing. SIGUSR1 opens the
    access log's file anew.
    """
    from pyproxy.server.reload import Source
    from pyproxy.server.serve import ServeOptions, serve_forever

    _check_ip(address)
    texts = [] if files else [_quickstart()]
    source = Source(files, release=Release(release), address=address, texts=texts)
    loaded = _print_errors(source.load)
    options = ServeOptions(
        admin=_host_port(admin, "HOST:PORT or off") if admin != "off" else None,
        access_log=access_log if access_log != "off" else None,
        access_log_format=_log_format(access_log_format),
        drain_time=drain_time,
        with_echo=not files,
        watch=watch,
        workers=workers,
        loop=loop,
    )
    sys.exit(serve_forever(source, loaded, options))


@main.command()
@_files
@_release
def validate(files: tuple[Path, ...], release: str) -> None:
    """Check resources and print every mistake with its file, line and column.

    That is also what Envoy Gateway would find in a policy only after Kubernetes has taken it. Warnings do not count.
    """
    _need_files(files)
    loaded = _load(files, release, "127.0.0.1")
    if not all(problem.is_warning for problem in loaded.problems):
        sys.exit(EXIT_CONFIGURATION)
    listeners, policies = len(loaded.settings.listeners), len(loaded.policies)
    click.echo(f"OK: {_count(listeners, 'listener')}, {_count(policies, 'policy', 'policies')}")


@main.command()
@_files
@_release
@click.option("-o", "--output", type=click.Choice(["table", "yaml", "json"]), default="table", show_default=True)
def status(files: tuple[Path, ...], release: str, output: str) -> None:
    """Print the policies' statuses, as kubectl does for a cluster; they are the same for every release.

    What a cluster would not take is named on standard error and left out; the exit code is then 1.
    """
    _need_files(files)
    now = datetime.now(UTC)
    statuses = load_statuses(files, now=now)
    _say(statuses.problems)
    if not statuses.policies:
        click.echo("there is no ClientTrafficPolicy in these files", err=True)
    click.echo(statuses.status(output, now), nl=False)
    if statuses.left_out:
        sys.exit(EXIT_CONFIGURATION)


@main.command()
@_files
@_release
@click.option("--address", default="127.0.0.1", show_default=True, help="The IP address to listen on.")
@click.option("-o", "--output", type=click.Choice(["envoy", "settings", "json"]), default="envoy", show_default=True)
def translate(files: tuple[Path, ...], release: str, address: str, output: str) -> None:
    """Print what each listener resolved to.

    envoy: the Envoy configuration (JSON) that does the same. settings: every setting with the line or the default that
    it came from. json: the same as data.
    """
    from pyproxy.envoy.bootstrap import render
    from pyproxy.policy.provenance import format_json, format_settings

    _need_files(files)
    _check_ip(address)
    loaded = _load(files, release, address)
    formats = {"envoy": lambda: render(loaded.settings), "settings": lambda: format_settings(loaded)}
    click.echo(formats.get(output, lambda: format_json(loaded))(), nl=False)


@main.command()
@click.option("--status", type=click.Choice(["enforced", "refused"]), help="Only these.")
@click.option("-o", "--output", type=click.Choice(["table", "markdown"]), default="table", show_default=True)
def fields(status: str | None, output: str) -> None:
    """List every field of a ClientTrafficPolicy: who enforces it, or why it is refused, and what it is held to by."""
    from pyproxy.explain import markdown, table

    click.echo(markdown() if output == "markdown" else table(status), nl=False)


@main.command()
@click.argument("field")
def explain(field: str) -> None:
    """Say what a FIELD of a ClientTrafficPolicy does (spec.path.escapedSlashesAction), or which an object has."""
    from pyproxy.explain import UnknownField
    from pyproxy.explain import explain as explanation

    try:
        click.echo(explanation(field), nl=False)
    except UnknownField as error:
        raise click.UsageError(str(error)) from None


@main.command()
@click.option("--admin", default="127.0.0.1:19000", show_default=True, help="HOST:PORT of its admin.")
@click.option("--once", is_flag=True, help="Print once instead of watching.")
def top(admin: str, once: bool) -> None:
    """Watch the connections of a running pyproxy: what they do, where they come from, when keepalive probes them."""
    from pyproxy.server.top import watch

    _host_port(admin, "HOST:PORT")
    sys.exit(watch(admin, once=once))


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
@click.option(
    "--corpus",
    "corpora",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="Run the inputs in this folder; may be given several times.",
)
@click.option("--recorded", is_flag=True, help="Compare a corpus with what it says Envoy did; no Envoy is needed.")
@click.option("--record", is_flag=True, help="Write into a corpus what Envoy does.")
@click.option("--fuzz", type=click.IntRange(1), metavar="N", help="Run N generated cases.")
@click.option("--seed", type=int, default=1, show_default=True, help="What --fuzz starts from.")
@click.option("--policies", is_flag=True, help="Generate policies too, 40 cases for each, in place of one listener.")
@click.option(
    "--proxy-protocol",
    type=click.Choice(["off", "required", "optional"]),
    default="off",
    show_default=True,
    help="Whether the listener under --fuzz reads PROXY headers; most generated cases are then about these.",
)
@_files
@click.option("--replay", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Run what --save saved.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the failing cases to this file.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a report: FILE.html or FILE.md.")
@_release
def conformance(files: tuple[Path, ...], release: str, **flags: Any) -> None:
    """Send the same bytes to pyproxy and to a real Envoy under the same policies, and compare.

    Without --corpus, --fuzz or --replay, the built-in cases. With -f, a corpus or generated cases on your own
    listeners; nothing is sent to your backends. --release is for --fuzz and -f; other cases have their own.
    """
    from pyproxy.conformance.run import Options, UsageError, run_conformance

    listeners = _load(files, release, "127.0.0.1").settings.listeners if files else ()
    try:
        sys.exit(run_conformance(Options(release=Release(release), listeners=listeners, **flags)))
    except UsageError as error:
        raise click.UsageError(str(error)) from error


def _load(files: tuple[Path, ...], release: str, address: str) -> Loaded:
    """The files, or the quickstart; what is wrong with them goes to standard error."""
    now = datetime.now(UTC)
    return _print_errors(lambda: load(files, release=Release(release), address=address, now=now))


def _print_errors(load: Callable[[], Loaded]) -> Loaded:
    try:
        loaded = load()
    except PolicyErrors as errors:
        _say(errors.errors)
        sys.exit(EXIT_CONFIGURATION)
    _say(loaded.problems)
    return loaded


def _say(problems: Sequence[PolicyError]) -> None:
    for problem in problems:
        click.echo(str(problem), err=True)


def _quickstart() -> tuple[str, str]:
    return QUICKSTART_NAME, resources.files("pyproxy").joinpath(QUICKSTART_NAME).read_text()


def _need_files(files: tuple[Path, ...]) -> None:
    if not files:
        raise click.UsageError("Missing option '-f' / '--file': name the resource files to read.")


def _check_ip(address: str) -> None:
    from ipaddress import ip_address

    try:
        ip_address(address)
    except ValueError:
        _usage("--address", f"{address} is not an IP address")


def _log_format(value: str) -> str:
    """The text of a format, which has no mistakes."""
    from pyproxy.observe.log_format import FormatError, compile_format

    option, file, text = "--access-log-format", value.removeprefix("@"), value
    if value == "@":
        _usage(option, "@ wants a file's name behind it")
    if file != value:
        try:
            text = Path(file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            _usage(option, f"{file}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}")
    try:
        compile_format(text)
    except FormatError as error:
        if file == value:
            line = f"line {error.line}, " if "\n" in text else ""
            _usage(option, f"{line}column {error.column}: {error}")
        click.echo(f"{file}:{error.line}:{error.column}: {error}", err=True)
        sys.exit(EXIT_CONFIGURATION)
    return text


def _host_port(text: str, wanted: str) -> tuple[str, int]:
    if "/" in text:
        _usage("--admin", f"{text} is no {wanted}, but a URL or a path")
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5) or int(port) > 65535:
        _usage("--admin", f"{text} is no {wanted}")
    return host, int(port)


def _usage(option: str, message: str) -> NoReturn:
    raise click.BadParameter(message, param_hint=option)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
