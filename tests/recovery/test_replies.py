"""A commit whose reply is lost: it has happened, and nobody on this side knows."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest

from rowqueue import Queue
from rowqueue.worker import Job
from support.calls import Session, enqueue, enqueue_many, job, value
from support.waiting import eventually
from support.workers import quick_worker, until, working
from torture.proxy import DropReply, serve


class Proxy:
    """A proxy before the server, which loses replies as it is told.

    Attributes:
        dsn: the database, by way of the proxy.
    """

    def __init__(self, dsn: str, orders: Any) -> None:
        """Takes over the near end of the proxy's pipe."""
        self._orders = orders
        address = urlsplit(dsn)
        user = address.netloc.rpartition("@")[0]
        self.dsn = address._replace(
            netloc=f"{user}@127.0.0.1:{orders.recv()}",
            query="sslmode=disable&gssencmode=disable",  # it reads along
        ).geturl()

    def lose_reply(self, application: str) -> None:
        """Loses the reply to the next commit of a client whose application_name begins so."""
        self._orders.send(DropReply(application, blindly=False))

    def has_lost(self) -> bool:
        """Returns once it has."""
        return self._orders.poll(20) and bool(self._orders.recv())


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    """A proxy before the test's database."""
    if not dsn.rpartition("@")[2].startswith("127.0.0.1:"):
        pytest.skip("the proxy reaches servers on 127.0.0.1 only")
    context = multiprocessing.get_context("spawn")
    orders, far_end = context.Pipe()
    process = context.Process(target=serve, args=(urlsplit(dsn).port, 1, far_end), daemon=True)
    process.start()
    far_end.close()
    try:
        yield Proxy(dsn, orders)
    finally:
        orders.close()
        process.join(10)
        assert process.exitcode == 0


def test_a_completion_whose_reply_is_lost_is_sent_again_and_is_done_already(
    dsn: str, db: Session, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(proxy.dsn)
    runs: list[UUID] = []
    worker.handler("sync")(lambda job: runs.append(job.id))
    with caplog.at_level(logging.INFO, "rowqueue"), working(worker):
        for _ in range(3):
            until(db, enqueue(db), "completed")
            proxy.lose_reply("rowqueue finish")
            ids = [one.id for one in enqueue_many(db, {}, {}, {})]
            assert proxy.has_lost()
            assert {until(db, one, "completed").attempts for one in ids} == {1}
    assert len(runs) == len(set(runs)) == 12
    assert " lost its lease" not in caplog.text


def test_a_failure_whose_reply_is_lost_counts_once(dsn: str, db: Session, proxy: Proxy) -> None:
    worker = quick_worker(proxy.dsn)

    @worker.handler("sync")
    def sync(job: Job) -> None:
        raise ValueError("no")

    worker.handler("good")(lambda job: None)
    with working(worker):
        until(db, enqueue(db, "good"), "completed")
        proxy.lose_reply("rowqueue finish")
        job_id = enqueue(db)
        assert proxy.has_lost()
        row = eventually(lambda: (row := job(db, job_id)).last_error and row)
    assert (row.status, row.attempts, row.last_error) == ("pending", 1, "ValueError: no")


def test_jobs_of_a_claim_whose_reply_is_lost_come_back_with_their_attempts(
    dsn: str, db: Session, proxy: Proxy
) -> None:
    worker = quick_worker(proxy.dsn, lease=timedelta(seconds=1), poll_interval=timedelta(seconds=5))
    worker.handler("sync")(lambda job: None)
    with working(worker):
        until(db, enqueue(db), "completed")
        eventually(lambda: listens(db))
        proxy.lose_reply("rowqueue claim")
        ids = [one.id for one in enqueue_many(db, {}, {}, {})]
        assert proxy.has_lost()
        rows = [until(db, one, "completed") for one in ids]
    assert {row.attempts for row in rows} == {1}
    assert all(row.last_error.startswith("worker lost: ") for row in rows)


def listens(db: Session) -> bool:
    """Whether the worker waits for a notification, and does not claim before that comes."""
    return bool(
        db.execute(
            "select from pg_stat_activity where datname = current_database()"
            " and application_name like 'rowqueue claim %' and state = 'idle'"
            " and clock_timestamp() - state_change between '0.5 s' and '2 s'"
        ).fetchall()
    )


def test_an_enqueue_whose_reply_is_lost_makes_one_job_however_often_it_is_tried(
    dsn: str, db: Session, proxy: Proxy
) -> None:
    proxy.lose_reply("producer")
    dsn = f"{proxy.dsn}&application_name=producer"
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.Error):
        Queue(connection).enqueue("sync", unique_key="k")
    assert proxy.has_lost()
    with psycopg.connect(dsn, autocommit=True) as connection:
        again = Queue(connection).enqueue("sync", unique_key="k")
    [only] = db.execute("select id from rowqueue.jobs").fetchall()
    assert only.id == again
    assert value(db, "cancel", job_id=again) == "cancelled"
