"""A standby takes over: what stays, what an asynchronous one loses, what an old primary can do."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from rowqueue import AsyncQueue
from rowqueue.worker import Job
from servers.ask import ask
from servers.failover import fail_over
from servers.node import Node
from servers.pair import Pair, own_pair
from support.calls import (
    claim,
    claim_one,
    enqueue,
    enqueue_many,
    job,
    refused,
    rows,
    stored,
    value,
)
from support.waiting import eventually
from support.workers import quick_worker, until, working

PROMOTIONS = 2


@pytest.fixture(scope="module")
def synchronous_pair() -> Iterator[Pair]:
    with own_pair(synchronous=True) as pair:
        yield pair


@pytest.fixture
def synchronous(synchronous_pair: Pair) -> Iterator[Pair]:
    """A pair without jobs, both of whose servers a test may stop."""
    with synchronous_pair.primary.connect() as db:
        db.execute("delete from rowqueue.jobs")
    yield synchronous_pair
    synchronous_pair.rejoin()


@pytest.fixture
def asynchronous() -> Iterator[Pair]:
    with own_pair(synchronous=False) as pair:
        yield pair


def sender(primary: Node) -> int:
    """Returns the process that tells the standby what its primary has written."""
    with primary.connect() as db:
        row = db.execute("select pid from pg_stat_replication").fetchone()
    assert row is not None
    return int(row[0])


def test_promotions_of_a_synchronous_standby_lose_nothing() -> None:
    trial = fail_over(PROMOTIONS, synchronous=True, tell=print)
    assert trial.verdict.is_flawless, trial.verdict
    assert trial.verdict.errors, "nobody noticed that the primary was killed"


def test_a_commit_that_waits_for_a_standby_is_bounded_by_the_client_and_can_be_repeated(
    synchronous: Pair,
) -> None:
    synchronous.standby.stop()

    async def scenario() -> None:
        async with await psycopg.AsyncConnection.connect(
            synchronous.primary.url, autocommit=True, options="-c statement_timeout=100"
        ) as connection:
            queue = AsyncQueue(connection)
            # The server's own limit has passed by then: it does not bound this wait.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(queue.enqueue("sync", unique_key="once"), 1)

    asyncio.run(scenario())
    with synchronous.primary.connect() as db:
        made = ask(db, "select id from rowqueue.jobs")
        synchronous.standby.start()
        synchronous.until_in_step()
        # Whether it was committed, the caller cannot know; the key makes that no matter.
        assert enqueue(db, unique_key="once") == made.id
    synchronous.fail_over()
    with synchronous.primary.connect() as db:
        db.execute("set synchronous_commit = local")
        assert job(db, made.id).status == "pending"
        assert enqueue(db, unique_key="once") == made.id


def test_a_wait_for_a_standby_that_was_cancelled_ends_with_a_warning(synchronous: Pair) -> None:
    synchronous.standby.stop()
    warnings: list[str | None] = []
    with synchronous.primary.connect() as db:
        db.add_notice_handler(lambda notice: warnings.append(notice.sqlstate))
        timer = threading.Timer(0.5, db.cancel_safe)
        timer.start()
        enqueue(db)
        timer.join()
    assert warnings == ["01000"]  # committed here, but maybe on no standby: not to be relied on


def test_a_worker_waits_for_the_standby_and_goes_on_when_it_is_back(synchronous: Pair) -> None:
    worker = quick_worker(synchronous.primary.url, lease=timedelta(seconds=10))
    go = threading.Event()

    @worker.handler("sync")
    def sync(job: Job) -> None:
        go.wait(30)

    with synchronous.primary.connect() as db, working(worker):
        job_id = enqueue(db)
        until(db, job_id, "running")
        synchronous.standby.stop()
        go.set()
        waiting = (
            "select from pg_stat_activity"
            " where wait_event = 'SyncRep' and application_name like 'rowqueue finish%'"
        )
        eventually(lambda: db.execute(waiting).fetchone() is not None)
        assert job(db, job_id).status == "running"
        synchronous.standby.start()
        assert until(db, job_id, "completed").attempts == 1


def test_a_worker_of_an_old_primary_can_report_to_neither_server(synchronous: Pair) -> None:
    with synchronous.primary.connect() as db:
        enqueue_many(db, {}, {})
        held, _ = claim(db, 2, worker="late", lease=timedelta(milliseconds=100))
    old = synchronous.primary
    synchronous.fail_over()
    old.start()
    with synchronous.primary.connect() as new:
        new.execute("set synchronous_commit = local")
        eventually(lambda: rows(new, "reap_stuck"))
        again = claim_one(new, worker="next")
        assert again.id == held.id
        assert again.token > held.token
        with refused(new, "RQ101"):
            rows(new, "complete", job_id=held.id, token=held.token)
        rows(new, "complete", job_id=again.id, token=again.token)
        # Nobody follows the old primary, so it acknowledges nothing.
        with pytest.raises(TimeoutError):
            asyncio.run(complete_within(1, old, held.id, held.token))
        assert stored(new, held.id).token == again.token


async def complete_within(seconds: float, node: Node, job_id: UUID, token: int) -> None:
    async with await psycopg.AsyncConnection.connect(node.url, autocommit=True) as connection:
        complete = connection.execute("select rowqueue.complete(%s, %s)", [job_id, token])
        await asyncio.wait_for(complete, seconds)


def test_an_asynchronous_standby_loses_what_it_had_not_received_and_draws_no_token_again(
    asynchronous: Pair,
) -> None:
    with asynchronous.primary.connect() as db:
        enqueue(db)
        kept = claim_one(db)
        value(db, "tick")
        last = enqueue(db)
        eventually(lambda: is_there(asynchronous.standby, last), what="the standby to have it")
        os.kill(sender(asynchronous.primary), signal.SIGSTOP)
        lost = [one.id for one in enqueue_many(db, *[{}] * 50)]
        given_out = {one.token for one in claim(db, 100)} | {kept.token}
        rows(db, "complete", job_id=kept.id, token=kept.token)
    asynchronous.fail_over()
    with asynchronous.primary.connect() as db:
        # Jobs, claims and completions are gone...
        assert not any(is_there(asynchronous.primary, one) for one in lost)
        assert job(db, last).status == "pending"
        assert job(db, kept.id).status == "running"
        # ... and what their workers still hold opens nothing here.
        enqueue_many(db, *[{}] * 50)
        again = {one.token for one in claim(db, 100)}
        assert len(again) == 51
        assert not again & given_out


def is_there(node: Node, job_id: UUID) -> bool:
    with node.connect() as db:
        return bool(rows(db, "get_job", job_id=job_id))
