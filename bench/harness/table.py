"""Results as tables: in Markdown for the repository, on the terminal for who waits."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from bench.harness.results import Results
from bench.harness.stats import OURS, Row, Summary, rows

LEGEND = (
    "Each figure is the median of the rounds, with the lowest and the highest. "
    f"ratio: {OURS}'s median against this system's; above 1, {OURS} is better."
)


def cells(results: Results) -> tuple[list[str], list[list[str]]]:
    """Returns headings and rows, all of them text. A column without any content is left out."""
    found = rows(results)
    heads = ["case", "system", "jobs"]
    for measure in results.measures:
        unit = f", {measure.unit}" if measure.unit and measure.unit != measure.name else ""
        heads += [f"{measure.name}{unit}", "ratio"]
    heads += ["rounds", "void"]
    lines = [_cells(results, row) for row in found]
    kept = [i for i in range(len(heads)) if any(line[i] for line in lines)]
    return [heads[i] for i in kept], [[line[i] for i in kept] for line in lines]


def markdown(results: Results) -> str:
    """Returns a table in Markdown, figures to the right."""
    heads, lines = cells(results)
    text = {"case", "system", "void"}
    rule = ["---" if head in text else "--:" for head in heads]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, rule, *lines)) + "\n"


def terminal(results: Results) -> Table:
    """Returns a table for rich to print."""
    heads, lines = cells(results)
    table = Table(box=box.SIMPLE_HEAD)
    for head in heads:
        left = head in ("case", "system", "void")
        table.add_column(head, justify="left" if left else "right", no_wrap=head != "void")
    previous = ""
    for line in lines:
        if heads[0] == "case" and previous and line[0] != previous:
            table.add_section()
        previous = line[0]
        table.add_row(*line, style="bold" if OURS in line[:2] else None)
    return table


def number(value: float) -> str:
    """Returns a figure with about three significant digits: 68,412; 12.3; 0.048."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _cells(results: Results, row: Row) -> list[str]:
    line = [row.case, row.system, f"{row.jobs:,}" if row.jobs else ""]
    for measure in results.measures:
        line += _figure(row.figures.get(measure.name), row.ratios.get(measure.name))
    counted = max((figure.count for figure in row.figures.values()), default=0)
    return [*line, str(counted), _void(row.void)]


def _figure(figure: Summary | None, ratio: float | None) -> Sequence[str]:
    if figure is None:
        return "", ""
    span = f" ({number(figure.lowest)} to {number(figure.highest)})" if figure.count > 1 else ""
    return number(figure.median) + span, "" if ratio is None else f"{ratio:.2f}"


def _void(reasons: Sequence[str]) -> str:
    return f"{len(reasons)}: {'; '.join(dict.fromkeys(reasons))}" if reasons else ""
