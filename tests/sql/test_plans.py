"""Each call's work depends on what it is asked to do, not on what waits or was done before.

Counted, not timed: scans of whole tables, and the index entries and rows that a call reads, with
nothing in the queue, one job, and 200,000; in sessions that planned their statements when the
table was empty, when it was full and unknown to the planner, and when it had been analysed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from support.calls import NOBODY, Session, claim, enqueue, enqueue_many, rows, value

DUE, DELAYED, FINISHED = 100_000, 100_000, 20_000

WORK_SO_FAR = """
    select
        sum(pg_stat_get_xact_numscans(c.oid)) filter (
            where c.relkind = 'r' and c.relname ~ '^(jobs|lanes)') as whole_tables,
        sum(pg_stat_get_xact_tuples_returned(c.oid)) as reads
    from pg_class as c
    where c.relnamespace = 'rowqueue'::regnamespace and c.relkind in ('r', 'i')"""


class Work(NamedTuple):
    """What a call did: the scans of whole tables, and the entries and rows that it read."""

    whole_tables: int
    reads: int


class Held(NamedTuple):
    """Ten running jobs that a call may name."""

    ids: list[Any]
    tokens: list[int]

    @property
    def one(self) -> dict[str, Any]:
        """The first of them, as arguments."""
        return {"job_id": self.ids[0], "token": self.tokens[0]}

    @property
    def all(self) -> dict[str, Any]:
        """All of them, as arguments."""
        return {"job_ids": self.ids, "tokens": self.tokens}


def fail_and_retry(db: Session, held: Held) -> None:
    """Fails a job for good and retries it."""
    rows(db, "fail_with_backoff", error="e", retry=False, **held.one)
    rows(db, "retry", job_id=held.ids[0])


def complete_and_get(db: Session, held: Held) -> None:
    """Completes a job, twice, and reads it where it is then."""
    rows(db, "complete", **held.one)
    rows(db, "complete", **held.one)
    rows(db, "get_job", job_id=held.ids[0])


Call = Callable[[Session, Held], object]
QUEUES = ["never-used", "default", "other"]

# With the most that each may read: what it is asked for, and what the calls before it left behind,
# for they were rolled back and nothing has cleaned up after them.
CALLS: dict[str, tuple[int, Call]] = {
    "claim_next": (50, lambda db, _: claim(db)),
    "claim_next 10": (500, lambda db, _: claim(db, 10)),
    "claim_next 10 of queues": (100, lambda db, _: claim(db, 10, queues=QUEUES)),
    "claim_next of nothing": (50, lambda db, _: claim(db, 10, queues=["never-used"])),
    "reap_stuck": (500, lambda db, _: rows(db, "reap_stuck")),
    "tick": (1000, lambda db, _: value(db, "tick")),
    "list_jobs": (1000, lambda db, _: rows(db, "list_jobs")),
    "list_jobs before": (500, lambda db, held: rows(db, "list_jobs", before=held.ids[0])),
    "list_jobs of nobody": (50, lambda db, _: rows(db, "list_jobs", workspace_id=NOBODY)),
    "get_job": (50, lambda db, held: rows(db, "get_job", job_id=held.ids[0])),
    "get_job of nobody": (50, lambda db, _: rows(db, "get_job", job_id=NOBODY)),
    "complete": (50, lambda db, held: rows(db, "complete", **held.one)),
    "complete and get_job": (100, complete_and_get),
    "complete_many 10": (200, lambda db, held: rows(db, "complete_many", **held.all)),
    "extend_lease": (50, lambda db, held: rows(db, "extend_lease", **held.one)),
    "extend_leases 10": (200, lambda db, held: rows(db, "extend_leases", **held.all)),
    "report_progress": (50, lambda db, held: rows(db, "report_progress", current=1, **held.one)),
    "fail": (50, lambda db, held: rows(db, "fail_with_backoff", error="e", **held.one)),
    "fail and retry": (100, fail_and_retry),
    "release": (50, lambda db, held: rows(db, "release", **held.one)),
    "cancel": (50, lambda db, held: rows(db, "cancel", job_id=held.ids[0])),
    "enqueue": (50, lambda db, _: enqueue(db)),
    "enqueue a key": (50, lambda db, _: enqueue(db, unique_key="a")),
    "enqueue_many 100": (1000, lambda db, _: enqueue_many(db, *[{"unique_key": "a"}] * 100)),
}
SIZES = [
    "empty",
    "one job",
    "full, planned when empty",
    "full, not analysed",
    "full, analysed",
]
_queue_numbers = count(1)


def work(session: Session, call: Call) -> Work:
    """Makes a call in a transaction that is rolled back, and returns what it did."""
    with session.transaction(force_rollback=True):
        queue = f"own-{next(_queue_numbers)}"
        enqueue_many(session, *[{"queue": queue}] * 10)
        jobs = claim(session, 10, queues=[queue])
        held = Held([job.id for job in jobs], [job.token for job in jobs])
        before = session.execute(WORK_SO_FAR).fetchone()
        call(session, held)
        after = session.execute(WORK_SO_FAR).fetchone()
        assert before is not None
        assert after is not None
    return Work(*(int(b - a) for a, b in zip(before, after, strict=True)))


def all_work(session: Session) -> dict[str, Work]:
    """Makes every call and returns what each did."""
    return {name: work(session, call) for name, (_, call) in CALLS.items()}


def fill(session: Session) -> None:
    """Makes the backlog, of three priorities, the delayed jobs, and the finished ones."""
    columns = "id, created_at, job_type, priority, run_after, ticket, status, completed_at"
    kinds = [
        ("live", DUE, 1, "n % 3, now(), nextval('rowqueue.tickets'), 'pending', null"),
        ("live", DELAYED, 2, "0, now() + interval '1 year', null, 'pending', null"),
        ("finished", FINISHED, 3, "0, now(), null, 'completed', now()"),
    ]
    for room, jobs, kind, values in kinds:
        session.execute(
            f"insert into rowqueue.jobs_{room} ({columns})"
            f" select ('0189000{kind}-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,"
            f" now(), 'sync', {values} from generate_series(1, {jobs}) as n"
        )


@pytest.fixture(scope="module")
def done(shared_dsn) -> dict[str, dict[str, Work]]:
    """What each call did, at each size."""

    def connect() -> Session:
        return psycopg.connect(shared_dsn, autocommit=True, row_factory=namedtuple_row)

    done = {}
    with connect() as early:
        for leaf in ("jobs_live", "jobs_finished_default"):
            early.execute(f"alter table rowqueue.{leaf} set (autovacuum_enabled = false)")
        for priority in range(3):
            enqueue(early, priority=priority)
            rows(early, "cancel", job_id=claim(early)[0].id)
        early.execute("vacuum rowqueue.jobs_live")
        done["empty"] = all_work(early)
        enqueue(early)
        done["one job"] = all_work(early)
        fill(early)
        done["full, planned when empty"] = all_work(early)
    with connect() as later:
        done["full, not analysed"] = all_work(later)
        later.execute("analyze rowqueue.jobs_live")
    with connect() as last:
        done["full, analysed"] = all_work(last)
    return done


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CALLS)
def test_no_call_reads_a_whole_table(done, size, name):
    assert done[size][name].whole_tables == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CALLS)
def test_no_call_reads_more_than_its_share(done, size, name):
    limit, _ = CALLS[name]
    assert done[size][name].reads <= limit


def test_the_work_of_a_batch_grows_with_the_batch_alone(shared_dsn):
    """Also for a planner that has seen a table in which nearly everything was pending."""
    with psycopg.connect(shared_dsn, autocommit=True, row_factory=namedtuple_row) as session:
        enqueue_many(session, *[{"queue": "batch"}] * 1000)
        session.execute("analyze rowqueue.jobs_live")

        def batch(function: str, size: int) -> Call:
            def call(db: Session, _: Held) -> None:
                jobs = claim(db, size, queues=["batch"])
                given = {"job_ids": [job.id for job in jobs], "tokens": [job.token for job in jobs]}
                assert len(rows(db, function, **given)) == size

            return call

        for function in ("extend_leases", "complete_many"):
            reads = {size: work(session, batch(function, size)).reads for size in (50, 500)}
            assert reads[500] < 15 * reads[50]
