"""A worker that has come to a standstill ends, and says why; one that works or waits goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from recovery import app
from recovery.process import Process, worker_at_work
from support.calls import Session, enqueue, job, value
from support.waiting import eventually
from support.workers import environment, until

STANDSTILL = 70
LINE = "no sign of life from {} for {:g} s, this process ends with exit code 70"

needs_own_server = pytest.mark.skipif(
    "ROWQUEUE_TEST_DSN" in os.environ, reason="stops a server process, so needs a server of its own"
)


def backend_of(db: Session, purpose: str) -> int:
    """Returns the server process of one of the worker's connections."""

    def look() -> int | None:
        row = db.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and application_name like 'rowqueue ' || %s || ' %%'",
            [purpose],
        ).fetchone()
        return int(row.pid) if row else None

    return eventually(look)


def fill(pipe: int) -> None:
    """Writes until there is no more room."""
    os.set_blocking(pipe, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b"x" * size)
    os.set_blocking(pipe, True)


def ends_with(process: Process, who: str, within: float = app.LIMIT) -> None:
    """Expects that the watchdog ends a process, and that one line says so."""
    assert process.wait() == STANDSTILL, process.log
    said = [line.text for line in process.lines if "ends with exit code" in line.text]
    assert len(said) == 1, process.log
    assert said[0].endswith(LINE.format(who, within)), process.log


def test_a_blocked_event_loop_ends_the_process_which_says_where_it_hangs(
    dsn: str, db: Session
) -> None:
    blocked = enqueue(db, "block")
    with worker_at_work(dsn, "watched") as process:
        ends_with(process, "the event loop")
        assert ", line " in process.log
        assert " in block" in process.log
    eventually(lambda: value(db, "tick")["reaped"])
    assert job(db, blocked).last_error.startswith("worker lost: ")


@needs_own_server
@pytest.mark.parametrize("purpose", ["claim", "finish"])
def test_a_database_that_falls_silent_ends_the_process(dsn: str, db: Session, purpose: str) -> None:
    with worker_at_work(dsn, "watched") as process:
        process.until_works()
        silent = backend_of(db, purpose)
        os.kill(silent, signal.SIGSTOP)  # its end of the connection stays up
        try:
            enqueue(db, "echo")
            ends_with(process, f"the database on the {purpose} connection", app.LIMIT + 0.2)
        finally:
            os.kill(silent, signal.SIGCONT)


@pytest.mark.parametrize(
    ("trouble", "who", "within"),
    [
        ("heartbeat hangs", "the heartbeat's thread", app.LIMIT),
        ("claims hang", "the claims", app.LIMIT + 0.2),
    ],
)
def test_a_part_that_hangs_ends_the_process(
    dsn: str, trouble: str, who: str, within: float
) -> None:
    with worker_at_work(dsn, "watched", env={"RECOVERY_TROUBLE": trouble}) as process:
        ends_with(process, who, within)


def test_an_interpreter_in_which_nothing_can_run_is_ended_too(dsn: str, db: Session) -> None:
    enqueue(db, "hold_gil", payload={"seconds": 60})
    with worker_at_work(dsn, "watched") as process:
        assert process.wait() == 1
        assert "Timeout (0:00:03)!" in process.log
        assert " in hold_gil" in process.log


def test_a_log_that_nobody_reads_ends_the_process(dsn: str, db: Session) -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "rowqueue", "worker", "recovery.app:watched"],
        env=environment(dsn),
        stderr=write,
        start_new_session=True,
    )
    try:
        backend_of(db, "heartbeat")
        fill(write)
        enqueue(db, "without_a_handler")  # which the log is told
        assert process.wait(30) == STANDSTILL
    finally:
        process.kill()
        process.wait()
        os.close(read)
        os.close(write)


def test_work_a_long_wait_and_a_stop_are_no_standstill(dsn: str, db: Session) -> None:
    db.execute("select pg_advisory_lock(7)")
    held = [enqueue(db, "until_free", payload={"lock": 7}) for _ in range(2)]  # all it can take
    with worker_at_work(dsn, "watched") as process:
        for one in held:
            until(db, one, "running")
        began = time.monotonic()
        os.killpg(process.popen.pid, signal.SIGSTOP)
        eventually(lambda: time.monotonic() > began + 1.5 * app.LIMIT)
        os.killpg(process.popen.pid, signal.SIGCONT)
        eventually(lambda: time.monotonic() > began + 3 * app.LIMIT)
        db.execute("select pg_advisory_unlock(7)")
        until(db, enqueue(db, "echo"), "completed")
        process.popen.terminate()
        assert process.wait() == 0, process.log


def test_a_supervisor_replaces_a_worker_that_came_to_a_standstill(dsn: str, db: Session) -> None:
    with worker_at_work(dsn, "watched", "--processes", "2") as process:
        enqueue(db, "block", max_attempts=1)
        process.until_says("a worker ended (exit code 70), next in 0.5 s")
        until(db, enqueue(db, "echo"), "completed")
        process.popen.terminate()
        assert process.wait() == 0, process.log
