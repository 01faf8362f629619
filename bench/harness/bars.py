"""Bars: the median of one measure, a bar for each system, with a whisker from lowest to highest."""

from __future__ import annotations

from bench.harness.results import Results
from bench.harness.scenario import Bars
from bench.harness.stats import OURS, rows
from bench.harness.svg import (
    FAINT,
    INK,
    RULE,
    WIDTH,
    Scale,
    colours,
    document,
    line,
    rectangle,
    text,
)
from bench.harness.table import number

_LEFT, _RIGHT, _TOP, _BAR, _GAP = 160, 90, 66, 18, 7


def bars(results: Results, plot: Bars) -> str:
    """Draws them, case after case from top to bottom; returns nothing where there is nothing."""
    found = [row for row in rows(results) if plot.measure in row.figures]
    if not found:
        return ""
    values = [row.figures[plot.measure] for row in found]
    ends = [end for value in values for end in (value.lowest, value.highest)]
    scale = Scale(ends, _LEFT, WIDTH - _RIGHT, log=plot.log)
    colour = colours(row.system for row in found)
    parts, y, case = [], float(_TOP), None
    for row, value in zip(found, values, strict=True):
        if row.case != case:
            case = row.case
            if case:
                y += 18
                parts.append(text(20, y, case, bold=True, size=13))
                y += 10
        ours = row.system == OURS
        middle = y + _BAR / 2
        parts += [
            text(_LEFT - 8, middle + 4, row.system, anchor="end", bold=ours),
            rectangle(_LEFT, y, max(scale(value.median) - _LEFT, 1), _BAR, colour[row.system]),
            line(scale(value.lowest), middle, scale(value.highest), middle, INK),
            text(
                max(scale(value.highest), scale(value.median)) + 6,
                middle + 4,
                number(value.median),
                bold=ours,
            ),
        ]
        y += _BAR + _GAP
    grid = [line(scale(tick), _TOP, scale(tick), y, RULE) for tick in scale.ticks]
    ticks = [
        text(scale(tick), y + 16, number(tick), anchor="middle", colour=FAINT, size=11)
        for tick in scale.ticks
    ]
    unit = next(one.unit for one in results.measures if one.name == plot.measure)
    axis = text(
        (_LEFT + WIDTH - _RIGHT) / 2, y + 36, unit or plot.measure, anchor="middle", colour=FAINT
    )
    subtitle = f"{results.setting}; median of the rounds, lowest to highest"
    return document(y + 52, plot.title, subtitle, [*grid, *parts, *ticks, axis])
