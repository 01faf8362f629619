"""Alternates the systems and repeats, so that the machine's moods strike all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench.harness.driver import DriverFailed
from bench.harness.results import Round
from bench.harness.scenario import Bench
from bench.harness.system import System

Measurement = Callable[[System, str], dict[str, Any]]


def alternate(bench: Bench, cases: Sequence[str], measure: Measurement) -> None:
    """Measures each system in each case, once a round, and hands every round to the bench.

    The order of the systems is turned by one from round to round. A driver that fails makes
    its round void and does not stop the run.

    Args:
        bench: the run; `Bench.add` gets the rounds.
        cases: the conditions; ``[""]`` for a scenario with but one.
        measure: called with a system and a case; returns the fields of a `Round` from ``jobs``
            on. May raise `Skipped` where a case makes no sense for a system.
    """
    for number in range(1, bench.rounds + 1):
        for case in cases:
            for system in _turned(bench.systems, number - 1):
                try:
                    fields = measure(system, case)
                except Skipped:
                    continue
                except DriverFailed as failure:
                    fields = {"void": str(failure)}
                bench.add(Round(system=system.name, case=case, number=number, **fields))


class Skipped(Exception):
    """A case that makes no sense for a system."""


def _turned(systems: Sequence[System], by: int) -> Iterator[System]:
    by %= len(systems)
    yield from systems[by:]
    yield from systems[:by]
