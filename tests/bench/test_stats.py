"""Medians, ranges, ratios: from the rounds to the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.harness.results import Measure, Results, Round
from bench.harness.stats import BEST, Summary, median_round, percentile, rows
from bench.harness.table import markdown, number

RATE = Measure("rate", "jobs/s")
DELAY = Measure("p99", "ms", better="lower")


def one(system: str, number: int, case: str = "", **fields: Any) -> Round:
    """A round that counts, unless the fields say otherwise."""
    return Round(system=system, case=case, number=number, **fields)


def results(*rounds: Round, measures: tuple[Measure, ...] = (RATE,)) -> Results:
    """The results of a run with these rounds."""
    return Results(
        scenario="drain",
        measures=measures,
        rounds=rounds,
        command="python -m bench run drain",
        facts={"postgres": "15.18 (Debian)"},
        systems={},
    )


def test_a_summary_has_the_median_and_both_ends() -> None:
    assert Summary.of([3.0, 1.0, 10.0]) == Summary(3.0, 1.0, 10.0, 3)


def test_where_more_is_better_the_ratio_is_ours_by_theirs() -> None:
    found = rows(
        results(
            one("rowqueue", 1, values={"rate": 300.0}),
            one("other", 1, values={"rate": 100.0}),
        )
    )
    assert [row.ratios for row in found] == [{}, {"rate": 3.0}]


def test_where_less_is_better_the_ratio_is_theirs_by_ours() -> None:
    found = rows(
        results(
            one("rowqueue", 1, values={"p99": 2.0}),
            one("other", 1, values={"p99": 8.0}),
            measures=(DELAY,),
        )
    )
    assert found[1].ratios == {"p99": 4.0}


def test_cases_are_summed_up_apart() -> None:
    found = rows(
        results(
            one("rowqueue", 1, "small", values={"rate": 1.0}),
            one("rowqueue", 1, "large", values={"rate": 2.0}),
            one("rowqueue", 2, "small", values={"rate": 3.0}),
        )
    )
    assert [(row.case, row.figures["rate"].median) for row in found] == [
        ("small", 2.0),
        ("large", 2.0),
    ]


def test_where_the_case_is_a_matter_of_choice_the_best_ones_are_compared() -> None:
    found = results(
        one("rowqueue", 1, "1 process", values={"rate": 40.0}),
        one("rowqueue", 1, "2 processes", values={"rate": 60.0}),
        one("other", 1, "1 process", values={"rate": 15.0}),
        one("other", 1, "2 processes", values={"rate": 12.0}),
    )
    best = [row for row in rows(replace(found, choose=True)) if row.case == BEST]
    assert [(row.system, row.figures["rate"].median) for row in best] == [
        ("rowqueue", 60.0),
        ("other", 15.0),
    ]
    assert best[1].ratios == {"rate": 4.0}


def test_a_void_round_counts_for_nothing_but_is_shown() -> None:
    found = results(
        one("rowqueue", 1, values={"rate": 1.0}),
        one("rowqueue", 2, values={"rate": 9.0}, lost=1, void="1 lost"),
    )
    (row,) = rows(found)
    assert (row.figures["rate"].median, row.void) == (1.0, ["1 lost"])
    assert "1: 1 lost" in markdown(found)


def test_a_system_whose_rounds_are_all_void_has_a_row_without_figures() -> None:
    found = results(
        one("rowqueue", 1, values={"rate": 1.0}), one("other", 1, void="it ended by itself")
    )
    assert rows(found)[1].figures == {}
    assert "it ended by itself" in markdown(found)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == expected


def test_the_only_value_is_every_percentile() -> None:
    assert [percentile([7.0], share) for share in (0.01, 0.5, 0.99)] == [7.0] * 3


def test_the_median_round_is_one_that_counts() -> None:
    found = results(
        one("rowqueue", 1, values={"rate": 5.0}),
        one("rowqueue", 2, values={"rate": 6.0}, void="1 lost"),
        one("rowqueue", 3, values={"rate": 7.0}),
        one("rowqueue", 4, values={"rate": 9.0}),
    )
    middle = median_round(found, "", "rowqueue")
    assert middle is not None
    assert middle.number == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0481, "0.0481"), (1.234, "1.23"), (12.34, "12.3"), (68412.4, "68,412")],
)
def test_a_figure_has_about_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_raw_values_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = results(
        one("rowqueue", 1, values={"rate": 1.5}, series={"rate": [(1.0, 2.0)]}, extra={"a": [1]}),
        one("other", 1, void="it ended by itself"),
    )
    found = Results.read(written.write(tmp_path / "drain-pg15.json"))
    assert found.rounds[1] == written.rounds[1]
    assert found.rounds[0].series == {"rate": [(1.0, 2.0)]}
    assert (found.measures, found.command) == ([RATE], written.command)
    assert found.file.name == "drain-pg15.json"
