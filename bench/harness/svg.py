"""The little of SVG that the plots need. White ground and dark ink: legible on any page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from bench.harness.stats import OURS

WIDTH = 760
INK = "#1f2937"
FAINT = "#6b7280"
RULE = "#e5e7eb"
_OURS = "#2563eb"
_OTHERS = ("#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#dc2626", "#78716c")


def colours(systems: Iterable[str]) -> dict[str, str]:
    """Returns a colour for each system, always the same one for rowqueue."""
    others = [system for system in dict.fromkeys(systems) if system != OURS]
    return {OURS: _OURS} | {system: _OTHERS[i % len(_OTHERS)] for i, system in enumerate(others)}


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    colour: str = INK,
    size: int = 12,
    bold: bool = False,
    turned: bool = False,
) -> str:
    """Returns words, the baseline at y."""
    weight = ' font-weight="600"' if bold else ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
        f' font-size="{size}"{weight}{turn}>{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str = RULE, width: float = 1) -> str:
    """Returns a straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}" stroke-width="{width}"/>'
    )


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Returns a filled rectangle."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' rx="2" fill="{colour}"/>'
    )


def curve(points: Iterable[tuple[float, float]], colour: str, *, strong: bool, dash: str) -> str:
    """Returns a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-linejoin="round"'
        f' stroke-width="{2.5 if strong else 1.5}"{dashed}/>'
    )


def document(height: float, title: str, subtitle: str, parts: Iterable[str]) -> str:
    """Returns the whole image, with its title at the top left."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
            f' width="{WIDTH}" height="{height:.0f}" role="img"'
            ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="6" fill="#ffffff"/>',
            text(20, 30, title, size=16, bold=True),
            text(20, 48, subtitle, colour=FAINT),
            *parts,
            "</svg>\n",
        ]
    )


class Scale:
    """Maps values to places, from round number to round number."""

    def __init__(
        self, values: Iterable[float], start: float, end: float, *, log: bool = False
    ) -> None:
        """Covers the values with places from start to end.

        A linear scale of values above nothing begins at 0. A logarithmic one begins at a power of
        ten, and has what is not above nothing there, too.
        """
        self._start, self._end, self._log = start, end, log
        if log:
            powers = [math.log10(value) for value in values if value > 0] or [0.0]
            low = math.floor(min(powers))
            high = max(math.ceil(max(powers)), low + 1)
            self.ticks = [10.0**power for power in range(low, high + 1)]
        else:
            covered = [0.0, *values]
            step = _step((max(covered) - min(covered)) / 5)
            low, high = math.floor(min(covered) / step), math.ceil(max(covered) / step)
            self.ticks = [step * number for number in range(low, max(high, low + 1) + 1)]

    def __call__(self, value: float) -> float:
        """Returns the place of a value."""
        low, high = self.ticks[0], self.ticks[-1]
        if self._log:
            value, low, high = (math.log10(max(one, low)) for one in (value, low, high))
        return self._start + (value - low) / (high - low) * (self._end - self._start)


def _step(rough: float) -> float:
    """Returns the round number at or above: 1, 2 or 5 times a power of ten."""
    if rough <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
