"""Medians, ranges and ratios of a scenario's rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bench.harness.results import Measure, Results, Round

OURS = "rowqueue"
BEST = "each one's best"


@dataclass(frozen=True, slots=True)
class Summary:
    """One figure over the rounds."""

    median: float
    lowest: float
    highest: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Sums up at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system in one case.

    Attributes:
        case: the condition.
        system: whose figures these are.
        jobs: how many jobs a round had.
        figures: each measure's summary, by name; a measure is missing where no round had it.
        ratios: rowqueue's median against this system's, by measure, above 1 where rowqueue is
            better; missing for rowqueue itself and where either has no figure.
        void: why rounds do not count, one entry for each.
    """

    case: str
    system: str
    jobs: int
    figures: dict[str, Summary]
    ratios: dict[str, float]
    void: list[str]


def rows(results: Results) -> list[Row]:
    """Sums up: a row for each case and system, in the order in which they were first measured.

    Rounds that are void are counted and otherwise left out. Where the case is a matter of choice,
    further rows hold each system's best case, by the first measure, against rowqueue's best.
    """
    found = _by_case(results)
    return [*found, *_best(results, found)] if results.choose else found


def _by_case(results: Results) -> list[Row]:
    groups: dict[tuple[str, str], list[Round]] = {}
    for one in sorted(results.rounds, key=lambda one: one.number):
        groups.setdefault((one.case, one.system), []).append(one)
    figures = {key: _figures(results.measures, group) for key, group in groups.items()}
    return [
        Row(
            case=case,
            system=system,
            jobs=max(one.jobs for one in group),
            figures=figures[case, system],
            ratios=_ratios(results.measures, figures, case, system),
            void=[one.void for one in group if one.void],
        )
        for (case, system), group in groups.items()
    ]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Returns the smallest value that at least this share of sorted values does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def median_round(results: Results, case: str, system: str) -> Round | None:
    """Returns the counting round whose first figure is the lower median; None if there is none."""
    first = results.measures[0].name
    counting = [
        one
        for one in results.rounds
        if one.case == case and one.system == system and not one.void and first in one.values
    ]
    counting.sort(key=lambda one: one.values[first])
    return counting[(len(counting) - 1) // 2] if counting else None


def _best(results: Results, found: Sequence[Row]) -> list[Row]:
    first = results.measures[0]
    best: dict[str, Row] = {}
    for row in found:
        if first.name not in row.figures:
            continue
        value = row.figures[first.name].median
        known = best.get(row.system)
        if known is None or first.ahead(value, known.figures[first.name].median) > 1:
            best[row.system] = row
    figures = {(BEST, system): row.figures for system, row in best.items()}
    return [
        replace(
            row,
            case=BEST,
            system=system,
            ratios=_ratios(results.measures, figures, BEST, system),
        )
        for system, row in best.items()
    ]


def _figures(measures: Iterable[Measure], group: Sequence[Round]) -> dict[str, Summary]:
    found = {}
    for measure in measures:
        values = [
            one.values[measure.name] for one in group if not one.void and measure.name in one.values
        ]
        if values:
            found[measure.name] = Summary.of(values)
    return found


def _ratios(
    measures: Iterable[Measure],
    figures: dict[tuple[str, str], dict[str, Summary]],
    case: str,
    system: str,
) -> dict[str, float]:
    ours, theirs = figures.get((case, OURS), {}), figures[case, system]
    found = {}
    for measure in measures:
        if system == OURS or measure.name not in ours or measure.name not in theirs:
            continue
        ratio = measure.ahead(ours[measure.name].median, theirs[measure.name].median)
        if ratio:
            found[measure.name] = ratio
    return found
