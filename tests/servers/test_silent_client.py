"""A client falls silent in the middle of a transaction: the server frees what it held."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from support.calls import Session, claim, claim_one, enqueue
from support.waiting import eventually
from support.workers import environment

CLAIM = """
import sys
import psycopg
with psycopg.connect(sys.argv[1], options="-c idle_in_transaction_session_timeout=1000") as db:
    row = db.execute("select token from rowqueue.claim_next('silent')").fetchone()
    print(row[0], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def silent(dsn: str, db: Session) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed the only job, has not committed, and is suspended."""
    enqueue(db)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, dsn],
        env=environment(dsn),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.kill()


def test_its_claim_is_undone_and_it_is_told_when_it_wakes_up(
    db: Session, silent: subprocess.Popen[str]
) -> None:
    assert claim(db) == []
    job = eventually(lambda: claim(db), what="the job to be free")
    assert job[0].attempts == 1
    silent.send_signal(signal.SIGCONT)
    _, said = silent.communicate()
    assert silent.returncode != 0
    assert "idle-in-transaction timeout" in said or "connection" in said


def test_it_holds_up_nobody_else(
    db: Session, silent: subprocess.Popen[str], connect: Callable[..., Session]
) -> None:
    other = connect(options="-c lock_timeout=1ms")
    made = enqueue(other)
    assert claim_one(other).id == made
    assert silent.poll() is None
