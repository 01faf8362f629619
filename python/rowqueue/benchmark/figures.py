"""What is measured, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Unit(Enum):
    """What a figure counts."""

    MILLISECONDS = "ms"
    RATE = "/s"


class Measure(Enum):
    """The measures, in the order in which they are taken and shown.

    Attributes:
        subject: what is measured.
        manner: how.
        unit: what its figures count.
    """

    ROUND_TRIP = ("round trip", "select 1", Unit.MILLISECONDS)
    COMMIT = ("commit", "of one enqueue", Unit.MILLISECONDS)
    ENQUEUE = ("enqueue", "one a transaction", Unit.RATE)
    ENQUEUE_MANY = ("enqueue", "batches of 1,000", Unit.RATE)
    DRAIN = ("drain", "one Python worker", Unit.RATE)
    DRAIN_SQL = ("drain", "SQL alone, 2 sessions", Unit.RATE)
    PICKUP = ("pickup", "at a steady trickle", Unit.MILLISECONDS)

    def __init__(self, subject: str, manner: str, unit: Unit) -> None:
        """Takes the words of a measure."""
        self.subject = subject
        self.manner = manner
        self.unit = unit


@dataclass(frozen=True, slots=True)
class Figure:
    """The samples of one measure, at least one.

    Attributes:
        measure: what was measured.
        samples: one a round; of `PICKUP`, and of what is taken by the call, one a job.
        rate: of `PICKUP`, how many jobs came in a second.
    """

    measure: Measure
    samples: Sequence[float]
    rate: float | None = None

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    def percentile(self, percent: int) -> float:
        """Returns the value that this share of the samples, 1 to 99 per cent, stays below."""
        if len(self.samples) == 1:
            return self.samples[0]
        return statistics.quantiles(self.samples, n=100, method="inclusive")[percent - 1]

    def as_dict(self) -> dict[str, object]:
        """Returns it for JSON."""
        spread = {"min": min(self.samples), "median": self.median, "max": max(self.samples)}
        if self.measure is Measure.PICKUP:
            percentiles = {f"p{percent}": self.percentile(percent) for percent in (50, 95, 99)}
            spread = {**percentiles, "max": spread["max"]}
        return {
            "unit": self.measure.unit.value,
            "samples": len(self.samples),
            **{name: round(value, 3) for name, value in spread.items()},
            **({} if self.rate is None else {"jobs_per_second": round(self.rate, 1)}),
        }
