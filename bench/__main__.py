"""``python -m bench list | run SCENARIO | report``: measures rowqueue beside other queues."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from bench.harness.install import CannotInstall
from bench.harness.report import report
from bench.harness.results import FOLDER, Round
from bench.harness.scenario import Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.harness.table import LEGEND, number, terminal
from bench.scenarios import SCENARIOS
from bench.systems import SYSTEMS
from rowqueue.embedded import EmbeddedUnavailable

_USAGE = 2
_WIDTH = 160


def main() -> int:
    """Does what the command line asks for and returns the exit code."""
    parser = command_line()
    options = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    # A run that is ended ends its drivers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    match options.verb:
        case "list":
            _list(console)
        case "report":
            for file in report(FOLDER, SCENARIOS):
                console.print(str(file), soft_wrap=True)
        case "run":
            try:
                return _run(SCENARIOS[options.scenario], options, console)
            except (CannotInstall, EmbeddedUnavailable) as error:
                parser.exit(_USAGE, f"python -m bench: {error}\n")
            except KeyboardInterrupt:
                return 128 + signal.SIGINT
    return 0


def _list(console: Console) -> None:
    for title, entries in (
        ("Scenarios", {name: scenario.about for name, scenario in SCENARIOS.items()}),
        ("Systems", {name: system.summary for name, system in SYSTEMS.items()}),
    ):
        console.print(f"[bold]{title}[/bold]")
        for name, about in entries.items():
            console.print(f"  {name:20} {escape(about)}", soft_wrap=True)


def _run(scenario: Scenario, options: argparse.Namespace, console: Console) -> int:
    systems = [SYSTEMS[name] for name in options.systems]
    _install(systems, console)
    with Server(options.pg, scenario.settings) as server:
        bench = Bench(scenario, server, systems, options, options.rounds)
        bench.tell = lambda done: _tell(console, bench, done)
        names = ", ".join(system.name for system in systems)
        console.print(f"[bold]{scenario.name}[/bold] on PostgreSQL {server.version}: {names}")
        try:
            scenario.run(bench)
        except BaseException:
            _keep_partial(bench, options.out)
            raise
        results = bench.results()
    console.print(terminal(results))
    console.print(LEGEND)
    console.print(f"raw values: {results.write(options.out)}", soft_wrap=True)
    return 1 if any(one.void for one in bench.finished) else 0


def _keep_partial(bench: Bench, out: Path | None) -> None:
    """Keeps the rounds of a run that was broken off, beside where the whole would have been."""
    if bench.finished:
        results = bench.results()
        results.write((out or results.file).with_suffix(".partial"))


def _install(systems: Sequence[System], console: Console) -> None:
    for system in systems:
        with console.status(f"installing {system.name}"):
            try:
                system.program.install()
            except CannotInstall as error:
                raise CannotInstall(f"cannot install {system.name}: {error}") from None


def _tell(console: Console, bench: Bench, done: Round) -> None:
    figures = ", ".join(
        f"{measure.name} {number(done.values[measure.name])} {measure.unit}".rstrip()
        for measure in bench.scenario.measures
        if measure.name in done.values
    )
    void = f" [red]void: {escape(done.void)}[/red]" if done.void else ""
    label = f"round {done.number} of {bench.rounds}"
    console.print(f"  {label}  {done.case:24} {done.system:20} {figures}{void}", soft_wrap=True)


def command_line() -> argparse.ArgumentParser:
    """Returns what understands the command line: a verb, a scenario, its options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="the scenarios and the systems")
    verbs.add_parser("report", help=f"Markdown tables and plots from the raw values in {FOLDER}")
    run = verbs.add_parser("run", help="run a scenario and keep its raw values")
    scenarios = run.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    for scenario in SCENARIOS.values():
        _add_options(scenarios.add_parser(scenario.name, help=scenario.about), scenario)
    return parser


def _add_options(parser: argparse.ArgumentParser, scenario: Scenario) -> None:
    parser.description = scenario.about
    parser.add_argument(
        "--systems",
        type=_system_names,
        default=list(scenario.systems),
        metavar="A,B,…",
        help=f"which systems (default: {','.join(scenario.systems)})",
    )
    parser.add_argument("--pg", default="15", help="PostgreSQL's major version (default: 15)")
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=scenario.rounds,
        help=f"how often each system is measured (default: {scenario.rounds})",
    )
    parser.add_argument("--jobs", type=_positive, help="how many jobs (default: each system's own)")
    parser.add_argument("--seconds", type=_positive, help="how long, where a scenario has a length")
    parser.add_argument(
        "--short",
        action=_Short,
        nargs=0,
        default=False,
        const={"short": True, "rounds": 1, **scenario.short},
        help="one round of a few seconds, only to see it work; options after it go before it",
    )
    parser.add_argument(
        "--out", type=Path, help=f"the file of the raw values (default: in {FOLDER})"
    )
    scenario.options(parser)


class _Short(argparse.Action):
    """Sets all the options that make a run short."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for name, value in self.const.items():
            setattr(namespace, name, value)


def _system_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SYSTEMS:
            raise argparse.ArgumentTypeError(
                f"no system is called {name!r}; there are {', '.join(SYSTEMS)}"
            )
    return list(dict.fromkeys(names))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
