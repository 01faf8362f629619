"""The measures of a run, one after the other, each within its time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from rowqueue.benchmark.check import check
from rowqueue.benchmark.drain import Drained, Progress, by_sql, by_worker
from rowqueue.benchmark.enqueue import (
    BATCH,
    commits,
    enqueue_batches,
    enqueue_singly,
    round_trips,
)
from rowqueue.benchmark.figures import Figure, Measure
from rowqueue.benchmark.pickup import pickups, sustainable_rate
from rowqueue.benchmark.place import Place, Session
from rowqueue.benchmark.view import View

# Shares of the time. They leave some for connecting, checking and clearing up.
_ROUND_TRIPS = 0.03
_COMMITS = 0.05
_SINGLES = 0.08
_WARM_UP = 0.13
_ROUNDS = 0.6
_PICKUPS = 0.16

_ROUND_COUNT = 5
_FEWEST_ROUNDS = 3


@dataclass(slots=True)
class Measuring:
    """Takes the measures and keeps count of the jobs.

    Attributes:
        place: the database.
        session: a session there.
        view: shows how far it is.
        seconds: how long to take, about.
        figures: what has been measured.
        waiting: the jobs in the queue.
        drained: how many jobs each drain has.
        completed: how many jobs have been completed.
        lost: how many were lost.
        repeated: how many runs there were beyond each job's first.
    """

    place: Place
    session: Session
    view: View
    seconds: float
    figures: dict[Measure, Figure] = field(default_factory=dict)
    waiting: list[UUID] = field(default_factory=list)
    drained: int = 0
    completed: int = 0
    lost: int = 0
    repeated: int = 0

    def take_all(self, jobs: int) -> None:
        """Takes all measures, with drains of so many jobs at most."""
        self._take_calls()
        self._take_rounds(jobs)
        self._take_pickup()

    def _take_calls(self) -> None:
        """Measures what takes one call each."""
        self.view.begin(Measure.ROUND_TRIP)
        samples = round_trips(self.session, most=1000, within=self.seconds * _ROUND_TRIPS)
        self._note(Measure.ROUND_TRIP, samples)
        self.view.begin(Measure.COMMIT)
        samples = commits(self.session, self.waiting, most=500, within=self.seconds * _COMMITS)
        self._note(Measure.COMMIT, samples)
        self.view.begin(Measure.ENQUEUE)
        rates: list[float] = []
        within = self.seconds * _SINGLES / _ROUND_COUNT
        for number in range(1, _ROUND_COUNT + 1):
            rates.append(enqueue_singly(self.session, self.waiting, most=1000, within=within))
            self._note(Measure.ENQUEUE, rates)
            self.view.progress(number / _ROUND_COUNT)

    def _take_rounds(self, jobs: int) -> None:
        """Fills the queue and drains it, either way, as often as there is time for."""
        seconds, least = self.seconds * _ROUNDS, self.seconds * _WARM_UP
        began = monotonic()
        self._round(BATCH, within=least)
        fitting = seconds / _FEWEST_ROUNDS / (monotonic() - began)
        self.drained = min(jobs // BATCH, max(1, int(fitting))) * BATCH

        rates: dict[Measure, list[float]] = {}
        ends, longest = monotonic() + seconds, 0.0
        for _ in range(_ROUND_COUNT):
            began = monotonic()
            if rates and began + longest > ends:
                break
            for measure, rate in self._round(self.drained, within=max(least, (ends - began) / 2)):
                rates.setdefault(measure, []).append(rate)
                self._note(measure, rates[measure])
            longest = max(longest, monotonic() - began)

    def _round(self, size: int, *, within: float) -> list[tuple[Measure, float]]:
        """Fills the queue twice; a worker drains it first, then SQL alone. Returns the rates."""
        filled = self._fill(size, within)
        worker = by_worker(
            self.place, len(self.waiting), within=within, progress=self._share(len(self.waiting))
        )
        self.view.begin(Measure.DRAIN)
        drained = self._settle(asyncio.run(worker))
        filled_again = self._fill(size, within)
        sql = by_sql(self.place, within=within, progress=self._share(len(self.waiting)))
        self.view.begin(Measure.DRAIN_SQL)
        drained_by_sql = self._settle(asyncio.run(sql))
        return [
            (Measure.ENQUEUE_MANY, filled),
            (Measure.DRAIN, drained),
            (Measure.ENQUEUE_MANY, filled_again),
            (Measure.DRAIN_SQL, drained_by_sql),
        ]

    def _fill(self, size: int, within: float) -> float:
        self.view.begin(Measure.ENQUEUE_MANY)
        return enqueue_batches(self.session, self.waiting, count=size, within=within)

    def _take_pickup(self) -> None:
        self.view.begin(Measure.PICKUP)
        rate = sustainable_rate(1 / self.figures[Measure.ENQUEUE].median)
        seconds = self.seconds * _PICKUPS
        trickle = pickups(
            self.place,
            self.waiting,
            rate=rate,
            seconds=seconds,
            progress=self._share(round(rate * seconds)),
        )
        samples, handled = asyncio.run(trickle)
        self._settle(Drained(handled, seconds))
        if samples:
            self._note(Measure.PICKUP, samples, rate=rate)

    def _settle(self, drained: Drained) -> float:
        """Checks on the jobs that were in the queue, and returns how many were done a second."""
        found = check(self.session, self.waiting, drained.handled)
        self.completed += found.completed
        self.lost += found.lost
        self.repeated += found.repeated
        self.waiting = list(found.waiting)
        return found.completed / drained.seconds

    def _note(self, measure: Measure, samples: list[float], *, rate: float | None = None) -> None:
        self.figures[measure] = figure = Figure(measure, samples, rate)
        self.view.figure(figure)

    def _share(self, count: int) -> Progress:
        return lambda done: self.view.progress(done / max(count, 1))
