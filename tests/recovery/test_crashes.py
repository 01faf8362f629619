"""A database that crashes, is shut down, or isn't ready yet, under a worker that goes on."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from rowqueue.worker import Job
from rowqueue.worker.outages import Outages
from servers.node import Node, own_node
from support.calls import enqueue, job
from support.waiting import eventually
from support.workers import quick_worker, until, working

FIRST_CLAIM = 2.0
SLACK = 1.5
"""For a machine that is busy with other things."""

LONG = 3.0
"""Seconds of an outage after which the worker's pauses have become as long as they get."""


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A server that the tests of this module bring down."""
    with own_node() as node:
        yield node


@contextmanager
def session_on(node: Node) -> Iterator[Any]:
    """Opens a session whose rows have named columns, as soon as the server lets it in."""

    def connect() -> psycopg.Connection[Any] | None:
        try:
            return psycopg.connect(node.url, autocommit=True, row_factory=namedtuple_row)
        except psycopg.OperationalError:
            return None

    with eventually(connect) as session:
        yield session


def done(node: Node) -> UUID:
    """Enqueues a job and returns once it is completed."""
    with session_on(node) as db:
        job_id = enqueue(db)
        until(db, job_id, "completed")
    return job_id


def first_claim(node: Node) -> float:
    """Returns how many seconds from now the worker claims a job that is there already."""
    ready = time.time()
    with session_on(node) as db:
        until(db, job_id := enqueue(db), "completed")
        return float(job(db, job_id).started_at.timestamp()) - ready


@contextmanager
def worker_beside(node: Node, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Runs a worker that the watchdog would end soon, and looks at what the process says.

    No second of it has more than one line, whoever writes them, but for the start and the end.
    """
    worker = quick_worker(
        node.url,
        poll_interval=timedelta(seconds=2),
        lease=timedelta(seconds=20),
        watchdog=timedelta(seconds=2),
    )
    worker.handler("sync")(lambda job: None)
    with caplog.at_level(logging.INFO), working(worker):
        done(node)
        yield
        done(node)
        eventually(
            lambda: "connection: " not in caplog.text or "all connections are back" in caplog.text
        )
    lines = [
        record
        for record in caplog.records
        if " starting: " not in record.getMessage() and not record.getMessage().endswith(" stopped")
    ]
    close = [
        (one.getMessage(), other.getMessage())
        for one, other in itertools.pairwise(lines)
        if other.created - one.created < 0.99
    ]
    assert not close


def out_of_reach(seconds: float) -> None:
    """Lets an outage last."""
    began = time.monotonic()
    eventually(lambda: time.monotonic() > began + seconds)


def test_pauses_grow_and_stay_short_enough_for_a_claim_within_two_seconds() -> None:
    outages, error = Outages("me"), psycopg.OperationalError("gone")
    pauses = [outages.delay("claim", error) for _ in range(100)]
    assert pauses[0] <= 0.2
    assert min(pauses[10:]) > 0.6
    assert max(pauses) <= 1.25
    assert len(set(pauses)) == 100  # each worker has its own


def test_a_backend_that_is_killed_brings_all_down_for_a_moment(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    with worker_beside(node, caplog), session_on(node) as db:
        pid = db.execute(
            "select pid from pg_stat_activity where application_name like 'rowqueue claim %'"
        ).fetchone()
        os.kill(pid.pid, signal.SIGKILL)


def test_a_database_that_is_ready_again_is_claimed_from_within_two_seconds(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    with worker_beside(node, caplog):
        node.kill()
        out_of_reach(LONG)
        node.start()
        assert first_claim(node) < FIRST_CLAIM + SLACK
        assert "connection: " in caplog.text


def test_crash_upon_crash_loses_no_job(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    enqueued: list[UUID] = []
    with worker_beside(node, caplog):
        for _ in range(3):
            with session_on(node) as db:
                enqueued += [enqueue(db) for _ in range(100)]
            node.kill()
            node.start()
    with session_on(node) as db:
        for one in enqueued:
            # A claim whose reply was lost holds its jobs for a lease.
            eventually(lambda: job(db, one).status == "completed", within=60)  # noqa: B023


def test_a_shutdown_is_waited_out_in_silence(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with worker_beside(node, caplog):
        with session_on(node) as db:
            claim = db.execute(
                "select pid from pg_stat_activity where application_name like 'rowqueue claim %'"
            ).fetchone()
            os.kill(node.pid, signal.SIGTERM)  # smart: no new sessions, and those there may go on
            eventually(lambda: refusal(node) == "the database system is shutting down")
            until(db, enqueue(db), "completed")
            db.execute("select pg_terminate_backend(%s)", [claim.pid])
            caplog.clear()
            eventually(lambda: "the database system is shutting down" in caplog.text)
        node.stop()  # fast: ends all sessions
        out_of_reach(1)
        node.start()
        assert first_claim(node) < FIRST_CLAIM + SLACK


def test_a_server_that_is_starting_up_is_waited_for(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    with worker_beside(node, caplog):
        node.stop()
        # A standby that lets nobody in is starting up for as long as one likes.
        (node.data / "standby.signal").touch()
        (node.data / "standby.signal").chmod(0o666)
        node.settings["hot_standby"] = "off"
        starting = threading.Thread(target=node.start)
        starting.start()
        try:
            caplog.clear()
            eventually(lambda: "the database system is" in caplog.text)
            out_of_reach(1)
        finally:
            del node.settings["hot_standby"]
            (node.data / "promote").touch()
            os.kill(node.pid, signal.SIGUSR1)
            starting.join()
        assert first_claim(node) < FIRST_CLAIM + SLACK


def refusal(node: Node) -> str:
    """Returns what the server says to a new session, empty if it lets it in."""
    try:
        with psycopg.connect(node.url):
            return ""
    except psycopg.OperationalError as error:
        return str(error).rpartition("FATAL:  ")[2].splitlines()[0]


def test_a_handler_that_runs_through_a_crash_is_completed_after_it(node: Node) -> None:
    worker = quick_worker(node.url, lease=timedelta(seconds=20))
    go = threading.Event()

    @worker.handler("held")
    def held(job: Job) -> str:
        go.wait(30)
        return "done"

    with working(worker):
        with session_on(node) as db:
            until(db, job_id := enqueue(db, "held"), "running")
        node.kill()
        go.set()
        node.start()
        with session_on(node) as db:
            row = until(db, job_id, "completed")
    assert (row.result, row.attempts) == ("done", 1)
