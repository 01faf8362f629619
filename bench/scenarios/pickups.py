"""Curves and percentiles of what went through: pickups of an open loop, rates of a closed one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from bench.harness.driver import Handled
from bench.harness.stats import percentile

Curve = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Pickups:
    """When jobs were due and when their handlers began, in seconds from the start, by due time."""

    due: Sequence[float]
    begun: Sequence[float]

    @classmethod
    def of(cls, handled: Iterable[Handled], start: float, rate: float) -> Self:
        """Reads them from what workers handled; job n was due n / rate seconds after the start."""
        pairs = sorted(
            (number / rate, begun - start)
            for one in handled
            for number, begun in zip(one.numbers, one.starts, strict=True)
        )
        return cls([due for due, _ in pairs], [begun for _, begun in pairs])

    def delay(self, share: float) -> float:
        """Returns the delay, in milliseconds, that this share of the jobs do not exceed."""
        return percentile(sorted(self._delays()), share)

    def delays_by(self, seconds: float, share: float) -> Curve:
        """Returns the same for the jobs due in each stretch of so many seconds, from 1."""
        stretches: dict[int, list[float]] = {}
        for due, delay in zip(self.due, self._delays(), strict=True):
            stretches.setdefault(int(due // seconds), []).append(delay)
        return [
            (number + 1, percentile(sorted(delays), share))
            for number, delays in sorted(stretches.items())
        ]

    def largest_backlog(self) -> int:
        """Returns how many jobs were due and not begun, at the worst moment."""
        begun = sorted(self.begun)
        largest = ended = 0
        for number, due in enumerate(self.due):
            while ended < len(begun) and begun[ended] <= due:
                ended += 1
            largest = max(largest, number + 1 - ended)
        return largest

    def _delays(self) -> list[float]:
        # Two clock readings may be a hair out of order.
        pairs = zip(self.due, self.begun, strict=True)
        return [max(0.0, begun - due) * 1000 for due, begun in pairs]


def rates_by_time(starts: Sequence[float], stretches: int) -> Curve:
    """Returns jobs a second in stretches of equal length, numbered from 1.

    Args:
        starts: unix times, in order.
        stretches: how many.
    """
    length = (starts[-1] - starts[0]) / stretches
    counts = [0] * stretches
    for start in starts:
        counts[min(stretches - 1, int((start - starts[0]) / length))] += 1
    return [(number + 1, count / length) for number, count in enumerate(counts)]


def rates_by_count(starts: Sequence[float], stretches: int) -> Curve:
    """Returns jobs a second in stretches of equally many jobs, numbered from 1."""
    size = (len(starts) - 1) // stretches
    ends = [starts[number * size] for number in range(stretches + 1)]
    return [(number + 1, size / (ends[number + 1] - ends[number])) for number in range(stretches)]
