"""A run: what there is before and after it, the measures in between, and no traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import psycopg
from rich.console import Console

from rowqueue.benchmark import leftovers
from rowqueue.benchmark.facts import Facts, Look
from rowqueue.benchmark.figures import Measure
from rowqueue.benchmark.findings import judge
from rowqueue.benchmark.look import look
from rowqueue.benchmark.measuring import Measuring
from rowqueue.benchmark.place import Place, Session, alone, open_place
from rowqueue.benchmark.report import Report
from rowqueue.benchmark.view import open_view
from rowqueue.interrupts import Interrupts
from rowqueue.schema import newest_schema
from rowqueue.text import clean, counted


def run_benchmark(
    dsn: str | None, jobs: int, seconds: float, console: Console, *, silent: bool
) -> Report:
    """Measures a database.

    Args:
        dsn: the database; a server of its own, if left out.
        jobs: how many jobs a drain has at most; a slow database gets fewer.
        seconds: how long to measure, about.
        console: where to show progress.
        silent: whether to show none.

    Returns:
        The figures and the findings.

    Raises:
        psycopg.Error, EmbeddedError: the database is not to be had.
        BenchmarkError: another benchmark runs in it.
        KeyboardInterrupt: it was interrupted. What it put into the queue is gone.
    """
    with Interrupts() as interrupts, open_place(dsn) as place:
        with place.connect() as session, alone(place):
            before = look(session)
            with (
                _traceless(place, session, interrupts) as traces,
                open_view(console, silent=silent) as view,
            ):
                view.say(_greeting(place, session, before))
                began = monotonic()
                measured = Measuring(place, session, view, seconds)
                measured.take_all(jobs)
                took = monotonic() - began
                traces.finished = measured.completed
            after = look(session)
        interrupts.check()
    facts = Facts(
        place=place,
        before=before,
        after=after,
        seconds=took,
        round_trip=measured.figures[Measure.ROUND_TRIP].median,
        commit=measured.figures[Measure.COMMIT].median,
        newest_schema=newest_schema(),
    )
    return Report(
        facts=facts,
        figures=list(measured.figures.values()),
        findings=judge(facts),
        drained=measured.drained,
        completed=measured.completed,
        lost=measured.lost,
        repeated=measured.repeated,
        left=traces.left,
    )


@dataclass(slots=True)
class _Traces:
    """What a run leaves.

    Attributes:
        finished: how many completed jobs there are to remove.
        left: what stays, as a sentence; empty for nothing.
    """

    finished: int = 0
    left: str = ""


@contextmanager
def _traceless(place: Place, session: Session, interrupts: Interrupts) -> Iterator[_Traces]:
    """Clears up what an earlier run left, and at the end, however that comes, what this one did."""
    traces = _Traces()
    leftovers.remove(session)
    try:
        leftovers.mark_begin(session)
        yield traces
    finally:
        interrupts.hold()  # a second Ctrl-C waits
        try:
            with place.connect() as fresh:
                traces.left = leftovers.remove(fresh, traces.finished)
        except psycopg.Error as error:
            traces.left = f"Not all could be removed ({clean(str(error))}); the next run will try."


def _greeting(place: Place, session: Session, before: Look) -> str:
    version = f"PostgreSQL {before.version}, schema {before.schema}"
    if place.own:
        return f"{version}, on a server of its own"
    where = f"{version}, database {session.info.dbname} on {session.info.host}"
    if not before.others:
        return where
    return f"{where}; the figures are shared with {counted(before.others, 'other connection')}"
