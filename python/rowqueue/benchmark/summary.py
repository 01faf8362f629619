"""The end of a run, for people: whether all jobs were run, and what hurts."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rowqueue.benchmark.findings import Finding, Level
from rowqueue.benchmark.report import Report
from rowqueue.benchmark.view import ragged

_STYLES = {Level.OK: "green", Level.WARN: "bold yellow", Level.BAD: "bold red"}
_INDENT = 2
_LABEL_WIDTH = 4


def print_summary(console: Console, report: Report) -> None:
    """Prints the verdict."""
    with ragged(console):
        _print(console, report)


def _print(console: Console, report: Report) -> None:
    console.print()
    console.print(_line("jobs", "green" if report.ok else "bold red", _outcome(report)))
    if report.left:
        console.print(_line("left", "yellow", Text(report.left)))
    for finding in report.findings:
        if finding.level is not Level.OK:
            console.print()
            _print_finding(console, finding)
    fine = [finding.seen for finding in report.findings if finding.level is Level.OK]
    console.print()
    console.print(_line("ok", _STYLES[Level.OK], Text(f"{'; '.join(fine)}.", "dim")))


def _outcome(report: Report) -> Text:
    if report.ok:
        drains = f"{report.drained:,} a drain"
        return Text(f"{report.completed:,} completed ({drains}), none lost, none run twice.")
    return Text(
        f"{report.completed:,} completed, {report.lost:,} lost, {report.repeated:,} run once too"
        " often. That must not be: please report it.",
        "red",
    )


def _print_finding(console: Console, finding: Finding) -> None:
    style = _STYLES[finding.level]
    told = Text.assemble((f"{finding.seen}\n", "bold"), finding.why)
    console.print(_line(finding.level.value, style, told))
    if finding.remedy:
        # Never broken into lines: it is there to be copied.
        indent = " " * (_INDENT + _LABEL_WIDTH + 2)
        console.print(Text(indent + finding.remedy, "cyan"), soft_wrap=True)


def _line(label: str, style: str, told: Text) -> Table:
    """Returns a label with a text beside it, which wraps under itself."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=_INDENT + _LABEL_WIDTH, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(" " * _INDENT + label, style), told)
    return table
