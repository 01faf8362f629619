"""The plots are well-formed, show every system, and survive odd figures."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.harness.bars import bars
from bench.harness.lines import lines
from bench.harness.results import Measure, Results, Round
from bench.harness.scenario import Bars, Lines
from bench.harness.svg import Scale

BARS = Bars(measure="rate", title="Drain <of> jobs & more")
LINES = Lines(series="rate", title="Over time", x="minutes", y="jobs/s")


def results(*rounds: Round) -> Results:
    """The results of a run with these rounds."""
    return Results(
        scenario="drain",
        measures=(Measure("rate", "jobs/s"),),
        rounds=rounds,
        command="",
        facts={"postgres": "15.18", "cores": 2},
        systems={},
    )


def words(image: str) -> set[str]:
    """All texts of an image."""
    return {"".join(node.itertext()) for node in ElementTree.fromstring(image).iter()}


def test_bars_name_each_system_and_case_and_the_unit() -> None:
    image = bars(
        results(
            Round(system="rowqueue", case="1 process", values={"rate": 51000.0}),
            Round(system="other", case="1 process", values={"rate": 12.3}),
        ),
        BARS,
    )
    assert {"rowqueue", "other", "1 process", "51,000", "12.3", "jobs/s", BARS.title} <= words(
        image
    )


def test_a_measure_that_no_round_has_is_not_drawn() -> None:
    assert bars(results(Round(system="rowqueue", void="1 lost")), BARS) == ""
    assert lines(results(Round(system="rowqueue", values={"rate": 1.0})), LINES) == ""


def test_lines_are_drawn_for_each_system_and_case() -> None:
    points = [(0.0, 1.0), (1.0, 2.0)]
    image = lines(
        results(
            *(
                Round(system=system, case=case, values={"rate": 1.0}, series={"rate": points})
                for system in ("rowqueue", "other")
                for case in ("free", "held")
            )
        ),
        LINES,
    )
    assert {"rowqueue, free", "rowqueue, held", "other, free", "other, held"} <= words(image)
    assert {"minutes", "jobs/s"} <= words(image)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[(0.0, 0.0)], [(5.0, 5.0)], [(0.0, 0.0), (1.0, 1e6)]])
def test_odd_figures_are_drawn_somewhere(values: list[tuple[float, float]], log: bool) -> None:
    found = results(
        Round(system="rowqueue", values={"rate": values[0][1]}, series={"rate": values})
    )
    for image in (
        bars(found, Bars(measure="rate", title="t", log=log)),
        lines(found, Lines(series="rate", title="t", x="x", y="y", log=log)),
    ):
        assert image == "" or ElementTree.fromstring(image) is not None
        assert "nan" not in image
        assert "inf" not in image


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([12, 98], [0, 20, 40, 60, 80, 100]),
        ([0.1, 0.9], [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([0], [0, 1]),
    ],
)
def test_a_linear_scale_has_round_numbers_from_nothing(
    values: list[float], ticks: list[float]
) -> None:
    assert Scale(values, 0, 100).ticks == pytest.approx(ticks)


def test_a_logarithmic_scale_has_powers_of_ten() -> None:
    scale = Scale([3, 4500], 0, 300, log=True)
    assert scale.ticks == [1, 10, 100, 1000, 10000]
    assert scale(100) == pytest.approx(150)
