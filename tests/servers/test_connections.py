"""The server has no connection left to give."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest

from rowqueue import Queue
from rowqueue.worker import Job
from servers.node import Node, own_node
from support.calls import Session, enqueue, job, rows, stored
from support.waiting import eventually
from support.workers import quick_worker, until, working

APP = "create role app login password 'app'; grant rowqueue_worker, rowqueue_producer to app"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with own_node(settings={"max_connections": 12, "superuser_reserved_connections": 3}) as node:
        with node.connect() as db:
            db.execute(APP)
        yield node


@pytest.fixture
def db(node: Node) -> Iterator[Session]:
    """A superuser's session, for which a place is kept free."""
    with node.connect() as session:
        yield session


@pytest.fixture
def dsn(node: Node) -> str:
    """An ordinary user's connection string."""
    return node.url.replace(f"postgres:{node.postgres.password}@", "app:app@")


class Crowd:
    """Sessions that take every place there is."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._sessions = ExitStack()

    def take(self) -> int:
        """Takes all places that are free and returns how many those were."""
        taken = 0
        while (error := self._enter()) is None:
            taken += 1
        assert "connection slots" in error
        return taken

    def _enter(self) -> str | None:
        """Takes one place; returns why it can't, None if it could."""
        try:
            self._sessions.enter_context(psycopg.connect(self._dsn))
        except psycopg.OperationalError as error:
            return str(error)
        return None

    def leave(self) -> None:
        """Frees them."""
        self._sessions.close()


@pytest.fixture
def crowd(dsn: str) -> Iterator[Crowd]:
    crowd = Crowd(dsn)
    yield crowd
    crowd.leave()


def test_a_worker_that_cannot_connect_again_keeps_its_jobs_and_comes_back(
    dsn: str, db: Session, crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn, lease=timedelta(seconds=1))
    go = threading.Event()

    @worker.handler("sync")
    def sync(job: Job) -> str:
        go.wait(30)
        return "done"

    with caplog.at_level(logging.INFO, "rowqueue"), working(worker):
        job_id = enqueue(db)
        until(db, job_id, "running")

        def shut_out() -> bool:
            """Whether the place of the claim connection is taken by somebody else."""
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'rowqueue claim%'"
            )
            return crowd.take() > 0

        crowd.take()
        eventually(shut_out)
        leases = {stored(db, job_id).lease_until}
        while len(leases) < 5:
            assert rows(db, "reap_stuck") == []
            leases.add(stored(db, job_id).lease_until)
        go.set()
        # Its other connections stand: even the outcome can be written.
        until(db, job_id, "completed")
        waiting = enqueue(db)
        eventually(lambda: "connection slots" in caplog.text)
        crowd.leave()
        row = until(db, waiting, "completed")
    assert (row.attempts, job(db, job_id).attempts) == (1, 1)


def test_a_producer_is_told_and_can_try_again(dsn: str, db: Session, crowd: Crowd) -> None:
    crowd.take()
    with Queue(dsn) as queue:
        with pytest.raises(psycopg.OperationalError, match="connection slots"):
            queue.enqueue("sync")
        crowd.leave()
        eventually(lambda: enqueued(queue))
    assert db.execute("select from rowqueue.jobs where status = 'pending'").fetchone() is not None


def enqueued(queue: Queue) -> bool:
    try:
        return bool(queue.enqueue("sync"))
    except psycopg.OperationalError:
        return False
