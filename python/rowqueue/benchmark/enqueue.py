"""Round trips, commits, and putting jobs in: what needs one session alone."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from uuid import UUID

from rowqueue import calls, client
from rowqueue.benchmark.names import JOB_TYPE, PAYLOAD, QUEUE
from rowqueue.benchmark.place import Session
from rowqueue.calls import Call
from rowqueue.jobs import NewJob

BATCH = 1_000

_JOB: NewJob = {"job_type": JOB_TYPE, "payload": PAYLOAD, "queue": QUEUE}
_FEWEST = 5


def one_job() -> Call[UUID]:
    """Returns the call that enqueues one job of the benchmark's."""
    return calls.enqueue(JOB_TYPE, payload=PAYLOAD, queue=QUEUE)


def round_trips(session: Session, *, most: int, within: float) -> list[float]:
    """Returns how many milliseconds each of some calls took that do nothing."""

    def ask() -> float:
        began = perf_counter()
        session.execute("select 1")
        return perf_counter() - began

    ask()  # psycopg's first statement costs more than any other
    return [1000 * ask() for _ in _repeat(most, within)]


def commits(session: Session, jobs: list[UUID], *, most: int, within: float) -> list[float]:
    """Returns how many milliseconds each of some commits took: a round trip and a write to disk.

    Args:
        session: the session.
        jobs: takes the jobs that are made on the way.
        most: how many at most.
        within: seconds in which to begin the last.
    """

    def commit() -> float:
        session.execute("begin")
        job = client.run(session, one_job())
        began = perf_counter()
        session.execute("commit")
        took = perf_counter() - began
        jobs.append(job)
        return took

    return [1000 * commit() for _ in _repeat(most, within)]


def enqueue_singly(session: Session, jobs: list[UUID], *, most: int, within: float) -> float:
    """Enqueues some jobs, each in a transaction of its own, and returns how many a second."""
    began = perf_counter()
    before = len(jobs)
    jobs.extend(client.run(session, one_job()) for _ in _repeat(most, within))
    return (len(jobs) - before) / (perf_counter() - began)


def enqueue_batches(session: Session, jobs: list[UUID], *, count: int, within: float) -> float:
    """Enqueues up to `count` jobs in batches, and returns how many a second."""
    began = perf_counter()
    before = len(jobs)
    batch = [_JOB] * BATCH
    for _ in _repeat(-(-count // BATCH), within, fewest=1):
        jobs.extend(one.id for one in client.run(session, calls.enqueue_many(batch)))
    return (len(jobs) - before) / (perf_counter() - began)


def _repeat(most: int, within: float, fewest: int = _FEWEST) -> Iterator[None]:
    """Yields `most` times, less often when the time is up, but a few times in any case."""
    ends = perf_counter() + within
    for number in range(most):
        if number >= fewest and perf_counter() >= ends:
            return
        yield
