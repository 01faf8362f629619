"""The checker notices when the server itself is at fault: an acknowledged commit is lost."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from rowqueue import schema
from support.calls import value
from support.waiting import eventually
from torture.checker import Facts, Verdict, install, judge
from torture.database import Database
from torture.history import History

ENOUGH = 300


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach, too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.mark.parametrize("waits", [True, False], ids=["waited for", "not waited for"])
def test_a_commit_that_was_not_waited_for_is_missed_after_a_crash(
    folder: Path, *, waits: bool
) -> None:
    verdict = _crash_while_enqueuing(folder, synchronous_commit="on" if waits else "off")
    assert verdict.figures["run"]["jobs"]
    assert ("I-1" not in verdict.broken) == waits, verdict.report()


def _crash_while_enqueuing(folder: Path, synchronous_commit: str) -> Verdict:
    """Crashes a server while a producer enqueues, and judges what is left by what it was told."""
    database = Database(folder / "cluster", None, clock=False)
    histories = folder / "histories"
    histories.mkdir()
    try:
        database.start()
        with psycopg.connect(database.dsn, autocommit=True) as db:
            db.execute(schema.render().encode())
            install(db)
            db.execute(
                f"alter database postgres set synchronous_commit = {synchronous_commit}".encode()
            )
        acknowledged: list[UUID] = []
        producer = threading.Thread(
            target=_enqueue_until_cut_off, args=[database.dsn, histories, acknowledged]
        )
        producer.start()
        eventually(lambda: len(acknowledged) > ENOUGH, what="some jobs to be enqueued")
        database.kill_postmaster()
        producer.join()
        Facts(drained=False).write(histories)
        with psycopg.connect(database.dsn, autocommit=True) as db:
            return judge(db, histories)
    finally:
        database.stop()


def _enqueue_until_cut_off(dsn: str, folder: Path, acknowledged: list[UUID]) -> None:
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(dsn, autocommit=True) as db,
        History.open(folder, "producer") as history,
    ):
        for number in itertools.count():
            key = f"key {number}"
            with history.call("enqueue", key=key) as call:
                job = value(db, "enqueue", job_type="plain", payload={"key": key})
                call.reply(job=job)
            acknowledged.append(job)
