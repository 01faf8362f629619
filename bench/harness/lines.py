"""Lines: one series of the median round, a line for each system and case."""

from __future__ import annotations

from bench.harness.results import Results
from bench.harness.scenario import Lines
from bench.harness.stats import OURS, median_round, rows
from bench.harness.svg import FAINT, RULE, WIDTH, Scale, colours, curve, document, line, text
from bench.harness.table import number

_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 70, 370
_DASHES = ("", "6 4", "2 3", "8 3 2 3")
_LEGEND_COLUMN = 220


def lines(results: Results, plot: Lines) -> str:
    """Draws them, cases told apart by dashes; returns nothing if there is nothing to draw."""
    drawn = []
    for row in rows(results):
        middle = median_round(results, row.case, row.system)
        if middle and middle.series.get(plot.series):
            drawn.append((row.case, row.system, middle.series[plot.series]))
    if not drawn:
        return ""
    xs = [x for _, _, points in drawn for x, _ in points]
    ys = [y for _, _, points in drawn for _, y in points]
    across = Scale(xs, _LEFT, WIDTH - _RIGHT)
    up = Scale(ys, _BOTTOM, _TOP, log=plot.log)
    cases = list(dict.fromkeys(case for case, _, _ in drawn))
    colour = colours(system for _, system, _ in drawn)
    parts = []
    for tick in up.ticks:
        parts += [
            line(_LEFT, up(tick), WIDTH - _RIGHT, up(tick), RULE),
            text(_LEFT - 8, up(tick) + 4, number(tick), anchor="end", colour=FAINT, size=11),
        ]
    for tick in across.ticks:
        parts.append(
            text(across(tick), _BOTTOM + 18, number(tick), anchor="middle", colour=FAINT, size=11)
        )
    # The first comes last, on top of the others: that is rowqueue.
    for place, (case, system, points) in reversed(list(enumerate(drawn))):
        dash, strong = _DASHES[cases.index(case) % len(_DASHES)], system == OURS
        placed = [(across(x), up(y)) for x, y in points]
        parts.append(curve(placed, colour[system], strong=strong, dash=dash))
        x, y = _LEFT + place % 3 * _LEGEND_COLUMN, _BOTTOM + 66 + place // 3 * 20
        parts += [
            curve([(x, y - 4), (x + 24, y - 4)], colour[system], strong=strong, dash=dash),
            text(x + 32, y, f"{system}, {case}" if case else system, bold=strong),
        ]
    parts += [
        text((_LEFT + WIDTH - _RIGHT) / 2, _BOTTOM + 40, plot.x, anchor="middle", colour=FAINT),
        text(22, (_TOP + _BOTTOM) / 2, plot.y, anchor="middle", colour=FAINT, turned=True),
    ]
    subtitle = f"{results.setting}; median round"
    return document(_BOTTOM + 82 + (len(drawn) - 1) // 3 * 20, plot.title, subtitle, parts)
