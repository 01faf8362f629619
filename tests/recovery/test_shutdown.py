"""How long a worker takes to end, and what becomes of what it holds."""

from __future__ import annotations

import signal
import time

import pytest

from recovery import app
from recovery.process import worker_at_work
from support.calls import Session, enqueue, job
from support.waiting import eventually

WITHIN = 0.5
SLACK = 1.0
"""For a machine that is busy with other things."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_is_given_back_within_the_grace_and_half_a_second(
    dsn: str, db: Session, number: signal.Signals
) -> None:
    ids = [enqueue(db, job_type) for job_type in ("sleep", "coroutine", "sleep_in_child")]
    with worker_at_work(dsn, "worker") as process:
        for one in ids:
            eventually(lambda one=one: job(db, one).progress, what="a handler that has begun")
        process.popen.send_signal(number)
        began = time.monotonic()
        assert process.wait() == 0, process.log
        took = time.monotonic() - began
    assert app.GRACE <= took < app.GRACE + WITHIN + SLACK
    assert {(job(db, one).status, job(db, one).attempts) for one in ids} == {("pending", 0)}


def test_a_handler_that_never_lets_go_keeps_neither_its_job_nor_the_process(
    dsn: str, db: Session
) -> None:
    stuck = enqueue(db, "stubborn")
    with worker_at_work(dsn, "worker") as process:
        eventually(lambda: job(db, stuck).progress)
        process.popen.terminate()
        began = time.monotonic()
        eventually(lambda: job(db, stuck).status == "pending")
        assert time.monotonic() - began < app.GRACE + WITHIN + SLACK
        assert process.wait() == 70, process.log
        assert "no sign of life from the shutdown for 2 s" in process.log
    assert job(db, stuck).attempts == 0
