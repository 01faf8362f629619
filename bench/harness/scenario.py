"""What a scenario is, and what it is given to work with."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.harness.results import Measure, Results, Round
from bench.harness.server import Server
from bench.harness.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A plot of one measure's medians: a group of bars for each case, a bar for each system."""

    measure: str
    title: str
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A plot of one of the rounds' series: a line for each system and case, of the median round."""

    series: str
    title: str
    x: str
    y: str
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question, and how it is answered.

    Attributes:
        name: its name on the command line and of its files.
        about: what it shows, in a sentence.
        systems: the systems measured unless ``--systems`` says otherwise; rowqueue first.
        measures: the figures that each round yields.
        run: measures all rounds.
        options: adds options of its own; every option has a default.
        rounds: how often each system is measured unless ``--rounds`` says otherwise.
        settings: of the server, beyond the usual.
        choose: whether the case is a matter of choice, so that each system's best one counts, too.
        short: what ``--short`` sets the options to, beside a single round.
        plots: what to draw.
    """

    name: str
    about: str
    systems: tuple[str, ...]
    measures: tuple[Measure, ...]
    run: Callable[[Bench], None]
    options: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    rounds: int = 5
    settings: Mapping[str, str | int] = field(default_factory=dict)
    choose: bool = False
    short: Mapping[str, Any] = field(default_factory=dict)
    plots: tuple[Bars | Lines, ...] = ()


@dataclass(slots=True)
class Bench:
    """A run under way.

    Attributes:
        scenario: what is measured.
        server: on which PostgreSQL.
        systems: which systems, in the order asked for.
        options: the command line's: ``jobs`` (None unless given), ``seconds`` (the same), and the
            scenario's own.
        rounds: how often.
        finished: the rounds so far.
        tell: called with each of them as it is finished.
        facts: what was to be said of the server at the beginning.
    """

    scenario: Scenario
    server: Server
    systems: Sequence[System]
    options: argparse.Namespace
    rounds: int
    finished: list[Round] = field(default_factory=list)
    tell: Callable[[Round], None] = lambda done: None
    facts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Asks the server for the facts."""
        self.facts = {**self.server.facts(), "rounds": self.rounds}

    def add(self, done: Round) -> None:
        """Takes a finished round in, void or not, and shows it."""
        self.finished.append(done)
        self.tell(done)

    def jobs(self, system: System) -> int:
        """Returns how many jobs a drain has: ``--jobs``, or the system's own figure."""
        return int(self.options.jobs or system.jobs)

    def results(self) -> Results:
        """Returns all that was found so far."""
        return Results(
            scenario=self.scenario.name,
            measures=self.scenario.measures,
            rounds=self.finished,
            command=shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            facts=self.facts,
            choose=self.scenario.choose,
            systems={system.name: describe(system) for system in self.systems},
        )


def describe(system: System) -> dict[str, Any]:
    """Returns what is to be said of a system beside its figures."""
    return {"summary": system.summary, "versions": system.program.versions()}
