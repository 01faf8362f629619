"""The disk is full: calls are refused as a whole, and all goes on once there is room."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from rowqueue import schema
from rowqueue.embedded import Account
from rowqueue.worker import Job
from servers.ask import ask
from servers.disk import Disk, small_disk
from servers.node import Node, own_node
from support.calls import Session, claim, enqueue, rows, running
from support.waiting import eventually
from support.workers import quick_worker, until, working

KILOBYTES = 900


@pytest.fixture
def node() -> Iterator[Node]:
    with own_node(installed=False) as node:
        yield node


def incompressible() -> dict[str, str]:
    return {"random": os.urandom(KILOBYTES * 512).hex()}


def fill(db: Session) -> list[UUID]:
    """Enqueues until there is no room; returns the jobs that were acknowledged."""
    made: list[UUID] = []
    while True:
        try:
            made.append(enqueue(db, payload=incompressible()))
        except psycopg.Error as error:
            assert_is_about_room(error)
            return made


def assert_is_about_room(error: psycopg.Error) -> None:
    """Either the server says so, or it has stopped because it cannot write its log."""
    assert error.sqlstate in ("53100", "57P02", None), error


def test_without_room_for_data_nothing_is_lost_and_the_worker_goes_on(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(node.url, concurrency=1, prefetch=0, lease=timedelta(seconds=5))
    go = threading.Event()

    @worker.handler("sync")
    def sync(job: Job) -> dict[str, str]:
        go.wait(60)
        return incompressible()

    with small_disk(24) as disk, node.connect() as db:
        db.execute(f"create tablespace small location '{disk.path}'")
        db.execute("set default_tablespace = small")
        db.execute(schema.render().encode())
        with working(worker), caplog.at_level(logging.INFO, "rowqueue"):
            first = enqueue(db)
            until(db, first, "running")
            made = fill(db)
            go.set()
            eventually(lambda: "No space left" in caplog.text, what="the worker to be refused")
            assert counts(db) == {"running": 1, "pending": len(made)}
            disk.grow(512)
            eventually(lambda: counts(db) == {"completed": len(made) + 1})
        assert ask(db, "select max(attempts) as most from rowqueue.jobs").most == 1
        node.stop()


def test_without_room_for_the_log_the_server_stops_and_nothing_is_lost(node: Node) -> None:
    with small_disk(64) as disk:
        node.stop()
        move_log(node, disk)
        node.settings |= {"min_wal_size": "32MB", "max_wal_size": "1GB"}
        node.start()
        with node.connect() as db:
            db.execute(schema.render().encode())
            claimed = running(db)
            made = fill(db)
        node.stop()
        disk.grow(512)
        node.start()
        with node.connect() as db:
            assert counts(db) == {"running": 1, "pending": len(made)}
            rows(db, "complete", job_id=claimed.id, token=claimed.token)
            assert {one.id for one in claim(db, 1000)} == set(made)
        node.stop()


def counts(db: Session) -> dict[str, int]:
    """Returns how many jobs there are in each status."""
    answer = db.execute("select status, count(*) as jobs from rowqueue.jobs group by status")
    return {row.status: row.jobs for row in answer}


def move_log(node: Node, disk: Disk) -> None:
    """Puts the write-ahead log of a stopped server on the disk."""
    account = Account.for_server()
    there = disk.path / "pg_wal"
    shutil.copytree(node.data / "pg_wal", there)
    for path in (there, *there.rglob("*")):
        os.chown(path, account.uid, account.gid)
    shutil.rmtree(node.data / "pg_wal")
    (node.data / "pg_wal").symlink_to(there)
