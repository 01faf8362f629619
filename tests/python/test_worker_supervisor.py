"""``rowqueue worker``: finding the worker, one process, several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rowqueue.worker.target import TargetError, find_worker
from support.calls import Session, enqueue, enqueue_many, job
from support.waiting import eventually
from support.workers import environment, until, worker_process


def pids_at_work(db: Session) -> set[int]:
    """Returns the processes whose workers are connected to the test's database."""
    names = db.execute(
        "select application_name as name from pg_stat_activity"
        " where datname = current_database() and application_name like 'rowqueue claim %'"
    ).fetchall()
    return {int(row.name.split(":")[1]) for row in names}


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("support.worker_app", "is not of the form MODULE:WORKER"),
        (":worker", "is not of the form MODULE:WORKER"),
        ("support.nowhere:worker", "cannot import module 'support.nowhere': ModuleNotFoundError"),
        ("support.worker_app:nobody", "has no 'nobody'"),
        ("support.worker_app:not_a_worker", "is a int, not a rowqueue Worker"),
    ],
)
def test_a_wrong_target_is_named(target: str, problem: str) -> None:
    with pytest.raises(TargetError, match=problem):
        find_worker(target)


@pytest.mark.parametrize("options", [[], ["--processes", "2"]], ids=["one", "two"])
@pytest.mark.parametrize(
    ("target", "dsn", "code"),
    [
        ("support.worker_app:nobody", "", 2),
        ("support.worker_app:worker", "host=127.0.0.1 port=1 dbname=none", 3),
    ],
    ids=["target", "database"],
)
def test_a_wrong_start_has_one_line_and_its_exit_code(
    target: str, dsn: str, code: int, options: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rowqueue", "worker", target, *options],
        env=environment(dsn),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "rowqueue: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_without_the_schema_is_told_so(empty_dsn: str) -> None:
    with worker_process(empty_dsn, "worker", "--burst") as process:
        assert process.wait(30) == 3
        assert process.stderr is not None
        assert b"run rowqueue migrate" in process.stderr.read()


def test_a_worker_is_found_in_the_working_directory(dsn: str, db: Session, tmp_path: Path) -> None:
    (tmp_path / "myjobs.py").write_text(
        "from rowqueue.worker import Worker\n"
        "worker = Worker()\n"
        '@worker.handler("here")\n'
        "def here(job):\n"
        '    return "found"\n'
    )
    job_id = enqueue(db, "here")
    done = subprocess.run(
        [sys.executable, "-m", "rowqueue", "worker", "myjobs:worker", "--burst"],
        env=environment(dsn),
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert job(db, job_id).result == "found"


def test_several_processes_share_a_burst_and_end(dsn: str, db: Session) -> None:
    ids = [one.id for one in enqueue_many(db, *[{"job_type": "echo"}] * 20)]
    with worker_process(dsn, "worker", "--burst", "--processes", "2") as process:
        assert process.wait(30) == 0
    assert {job(db, one).status for one in ids} == {"completed"}


def test_a_child_that_dies_is_replaced_and_a_signal_ends_them_all(dsn: str, db: Session) -> None:
    with worker_process(dsn, "worker", "--processes", "2") as process:
        first = eventually(lambda: len(pids := pids_at_work(db)) == 2 and pids)
        assert process.pid not in first
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        second = eventually(
            lambda: victim not in (pids := pids_at_work(db)) and len(pids) == 2 and pids
        )
        assert len(second & first) == 1
        until(db, enqueue(db, "echo"), "completed")
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert b"a worker ended (SIGKILL), next in 0.5 s" in process.stderr.read()
    eventually(lambda: not pids_at_work(db))


def test_a_signal_to_all_processes_at_once_is_still_the_first(dsn: str, db: Session) -> None:
    db.execute("select pg_advisory_lock(7)")
    job_id = enqueue(db, "until_free", payload={"lock": 7})
    with worker_process(dsn, "worker", "--processes", "2") as process:
        eventually(lambda: job(db, job_id).progress)
        pids = eventually(lambda: len(pids := pids_at_work(db)) == 2 and pids)
        for pid in (process.pid, *pids):  # as a service manager does
            os.kill(pid, signal.SIGTERM)
        eventually(lambda: len(pids_at_work(db)) == 1)  # the idle one has ended
        db.execute("select pg_advisory_unlock(7)")
        assert process.wait(30) == 0
    assert job(db, job_id).status == "completed"


def test_a_second_signal_to_the_supervisor_kills_the_children(dsn: str, db: Session) -> None:
    db.execute("select pg_advisory_lock(7)")
    job_id = enqueue(db, "until_free", payload={"lock": 7})
    with worker_process(dsn, "worker", "--processes", "2") as process:
        eventually(lambda: job(db, job_id).progress)
        pids = eventually(lambda: len(pids := pids_at_work(db)) == 2 and pids)
        process.terminate()
        eventually(lambda: len(pids_at_work(db)) == 1)  # the idle one has ended
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    eventually(lambda: not pids & pids_at_work(db))


def test_children_do_not_outlive_a_supervisor_that_is_killed(dsn: str, db: Session) -> None:
    with worker_process(dsn, "worker", "--processes", "2") as process:
        eventually(lambda: len(pids_at_work(db)) == 2)
        process.kill()
        process.wait(30)
        eventually(lambda: not pids_at_work(db))


def test_a_process_with_too_many_abandoned_threads_replaces_itself(dsn: str, db: Session) -> None:
    with worker_process(dsn, "one_abandoned") as process:
        stuck = enqueue(db, "sleep", timeout_ms=200, max_attempts=1)
        eventually(lambda: job(db, stuck).last_error)
        until(db, enqueue(db, "echo"), "completed")
        assert pids_at_work(db) == {process.pid}
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr is not None
        log = process.stderr.read().decode()
    assert log.count(" starting: ") == 2
    assert "1 threads outlived their jobs: this process starts anew" in log
