"""The verb ``pyproxy conformance``: which cases run, and what is said about them.

Exit codes: 0 when nothing unexplained is left, 1 otherwise, 2 for nothing to run, 3 when a proxy can't start.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import CASES
from pyproxy.conformance.corpus import CorpusError, read_corpus
from pyproxy.conformance.deviations import load_deviations
from pyproxy.conformance.engine import (
    PATIENT,
    Arena,
    MakeSubject,
    Result,
    keepalive_case_names,
    run_group,
    run_groups,
)
from pyproxy.conformance.fuzz import generate, generate_with_policies
from pyproxy.conformance.minimize import minimize
from pyproxy.conformance.record import write_observations
from pyproxy.conformance.replay import read_cases, write_cases
from pyproxy.conformance.report import exit_code, print_report, unexplained
from pyproxy.conformance.report_file import write_report
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject
from pyproxy.envoy.process import EnvoyError
from pyproxy.policy.release import Release
from pyproxy.settings import Listener

MOST_MINIMIZED = 40
"""Failing cases of a group that are made small, and ``ALIKE`` of those that fail in the same way."""
ALIKE = 2


class UsageError(Exception):
    """Options that do not go together, or name nothing to run."""


@dataclass(frozen=True, slots=True)
class Options:
    """The verb's flags."""

    pattern: str = ""
    list_only: bool = False
    corpora: tuple[Path, ...] = ()
    recorded: bool = False
    record: bool = False
    fuzz: int | None = None
    seed: int = 1
    policies: bool = False
    proxy_protocol: str = "off"
    release: Release = Release.V0_6
    listeners: tuple[Listener, ...] = ()
    """Of the user's own resources."""
    replay: Path | None = None
    save: Path | None = None
    report: Path | None = None


def run_conformance(options: Options) -> int:
    """The exit code. Raises ``UsageError``."""
    _check(options)
    console = Console(highlight=False, soft_wrap=True)
    if options.record:
        return _record(console, options)
    try:
        cases = _cases(options)
    except CorpusError as error:
        raise UsageError(str(error)) from error
    if options.recorded:
        cases = [case for case in cases if case.recorded is not None]
    if options.list_only:
        for name in (case.name for case in cases) if not _is_built_in(options) else _built_in_names(options.pattern):
            console.print(name, markup=False)
        return 0
    if not cases:
        raise UsageError(f"no case has {options.pattern!r} in its name")
    results = _run(
        console,
        cases,
        reference=None if options.recorded else EnvoySubject,
        watch_growth=options.fuzz is not None and not options.policies,
        minimizing=not options.recorded,
    )
    if results is None:
        return 3
    print_report(console, results)
    try:
        if options.report is not None:
            write_report(options.report, results)
        if options.save is not None:
            failed = [result.shrunk or result for result in unexplained(results)]
            write_cases(options.save, [result.case for result in failed if result.case is not None])
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    return exit_code(results)


def _check(options: Options) -> None:
    if (options.recorded or options.record) and not options.corpora:
        raise UsageError("--recorded and --record are about a corpus: name one with --corpus")
    if sum((bool(options.corpora), options.fuzz is not None, options.replay is not None)) > 1:
        raise UsageError("--corpus, --fuzz and --replay each say what to run: give one of them")
    if options.policies and (options.fuzz is None or options.listeners or options.proxy_protocol != "off"):
        raise UsageError("--policies is for --fuzz N, without -f or --proxy-protocol: it makes policies of its own")
    if options.listeners and _is_built_in(options):
        raise UsageError(
            "-f needs --fuzz N, --corpus DIR or --replay FILE: the built-in cases have resources of their own"
        )
    if options.listeners and (options.recorded or options.record):
        raise UsageError("what is recorded is under the corpus's own settings: leave out -f")
    if options.report is not None and options.report.suffix not in (".html", ".md"):
        raise UsageError(f"--report: {options.report} ends neither in .html nor in .md")


def _is_built_in(options: Options) -> bool:
    return not options.corpora and options.fuzz is None and options.replay is None


def _cases(options: Options) -> list[Case]:
    listeners = {listener.name: listener for listener in options.listeners}
    groups = [Group(name, listener=listener) for name, listener in listeners.items()]
    if options.replay is not None:
        cases = read_cases(options.replay, listeners)
    elif options.fuzz is not None and options.policies:
        cases = list(generate_with_policies(options.fuzz, options.seed))
    elif options.fuzz is not None:
        groups = groups or [_fuzz_group(options)]
        shares = [options.fuzz // len(groups) + (n < options.fuzz % len(groups)) for n in range(len(groups))]
        cases = [
            case for group, share in zip(groups, shares, strict=True) for case in generate(group, share, options.seed)
        ]
    elif options.corpora:
        cases = [case for folder in options.corpora for case in read_corpus(folder)]
        if groups:
            cases = [_under(case, group) for case in cases if case.group.client_address is None for group in groups]
    else:
        cases = [*CASES, *(deviation.example_case() for deviation in load_deviations())]
    return [case for case in cases if options.pattern in case.name]


def _under(case: Case, group: Group) -> Case:
    """A corpus's case on a listener of the user's."""
    return replace(case, name=f"{case.name} on {group.name}", group=group, recorded=None)


def _fuzz_group(options: Options) -> Group:
    optional = "true" if options.proxy_protocol == "optional" else "false"
    spec = "" if options.proxy_protocol == "off" else f"proxyProtocol: {{optional: {optional}}}"
    name = options.release.value if not spec else f"{options.release.value} PROXY {options.proxy_protocol}"
    return Group(name, options.release, spec)


def _built_in_names(pattern: str) -> list[str]:
    names = [case.name for case in _cases(Options())]
    return [name for name in (*names, *keepalive_case_names()) if pattern in name]


def _record(console: Console, options: Options) -> int:
    """Write into corpora what Envoy does; 1 when it did two things with the same input, which is then not recorded."""
    code = 0
    for folder in options.corpora:
        try:
            cases = {case.name: replace(case, quiet=max(case.quiet, PATIENT)) for case in read_corpus(folder)}
        except CorpusError as error:
            raise UsageError(str(error)) from error
        chosen = [case for name, case in cases.items() if options.pattern in name]
        results = _run(console, chosen, subject=EnvoySubject)
        if results is None:
            return 3
        steady = [result for result in results if result.case is not None and not result.differences]
        write_observations(folder, {one.name: (cases[one.name], one.seen) for one in steady})
        for result in results:
            if result.differences:
                console.print(f"{result.name}: not recorded, Envoy does not always do the same", markup=False)
                code = 1
        console.print(f"{folder}: {len(steady)} cases recorded", markup=False)
    return code


def _run(
    console: Console,
    cases: Sequence[Case],
    *,
    reference: MakeSubject | None = EnvoySubject,
    subject: MakeSubject = PyproxySubject,
    watch_growth: bool = False,
    minimizing: bool = False,
) -> list[Result] | None:
    """The results, or ``None`` where a proxy could not be started."""
    results: list[Result] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("conformance", total=len(cases))

            def done(result: Result) -> None:
                results.append(result)
                progress.advance(task, result.case is not None)

            async def run(group: Group, of_group: list[Case]) -> None:
                async def make_small(arena: Arena) -> None:
                    failed = _worth_minimizing(
                        one for one in results if one.case is not None and one.case.group == group
                    )
                    progress.update(task, description="minimizing" if failed else "conformance")
                    for result, small in zip(
                        failed, await asyncio.gather(*(minimize(arena, one) for one in failed)), strict=True
                    ):
                        result.shrunk = small

                await run_group(
                    group,
                    of_group,
                    done,
                    reference=reference,
                    subject=subject,
                    watch_growth=watch_growth,
                    afterwards=make_small if minimizing else None,
                )

            asyncio.run(run_groups(cases, run))
    except (EnvoyError, RuntimeError) as error:
        console.print(str(error), markup=False)
        return None
    return results


def _worth_minimizing(results: Iterable[Result]) -> list[Result]:
    """Some failures of each kind, short ones first."""
    chosen: list[Result] = []
    alike = Counter[object]()
    for result in sorted(unexplained(results), key=lambda one: len(one.case.sent) if one.case is not None else 0):
        kind = result.kind
        alike[kind] += 1
        if alike[kind] <= ALIKE and len(chosen) < MOST_MINIMIZED:
            chosen.append(result)
    return chosen
