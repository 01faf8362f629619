"""Memory runs out: in a child, in the worker, or up to a limit that a handler sets itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.process import worker_at_work
from support.calls import Session, enqueue, job, value
from support.waiting import eventually
from support.workers import until

GROUPS = Path("/sys/fs/cgroup/memory")
LIMIT = 160 << 20

needs_groups = pytest.mark.skipif(
    not os.access(GROUPS / "cgroup.procs", os.W_OK),
    reason="limits memory with control groups of version 1, as root",
)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group whose processes may use little memory."""
    group = GROUPS / f"rowqueue-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(LIMIT))
        yield group
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def within(group: Path) -> list[str]:
    """Returns what stands before a command that runs in a control group."""
    return ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]


def kills(group: Path) -> int:
    """Returns how many processes of a group the kernel has killed for their memory."""
    words = (group / "memory.oom_control").read_text().split()
    return int(words[words.index("oom_kill") + 1])


@needs_groups
def test_the_kernel_kills_a_child_and_only_its_job_fails(
    dsn: str, db: Session, small_group: Path
) -> None:
    db.execute("select pg_advisory_lock(7)")
    beside = enqueue(db, "until_free", payload={"lock": 7})
    with worker_at_work(dsn, "worker", prefix=within(small_group)) as process:
        until(db, beside, "running")
        filler = enqueue(db, "fill_in_child", max_attempts=1)
        row = until(db, filler, "failed")
        assert row.error == "ProcessDied: the handler's process was ended by signal 9"
        assert kills(small_group) == 1
        db.execute("select pg_advisory_unlock(7)")
        assert until(db, beside, "completed").attempts == 1
        process.popen.terminate()
        assert process.wait() == 0, process.log


@needs_groups
def test_the_kernel_kills_the_worker_and_its_jobs_come_back(
    dsn: str, db: Session, small_group: Path
) -> None:
    filler = enqueue(db, "fill")
    with worker_at_work(dsn, "worker", prefix=within(small_group)) as process:
        assert process.wait() == -signal.SIGKILL, process.log
        assert kills(small_group) == 1
    eventually(lambda: value(db, "tick")["reaped"])
    row = db.execute("select * from rowqueue.jobs where id = %s", [filler]).fetchone()
    assert (row.status, row.crashes) == ("pending", 1)
    assert row.last_error.startswith("worker lost: ")


def test_a_handler_that_meets_a_limit_of_its_own_fails_alone(dsn: str, db: Session) -> None:
    filler = enqueue(db, "fill_to_limit_in_child", max_attempts=1)
    with worker_at_work(dsn, "worker") as process:
        assert until(db, filler, "failed").error == "MemoryError"
        until(db, enqueue(db, "sleep_in_child"), "running")
        process.popen.terminate()
        assert process.wait() == 0, process.log
    assert job(db, filler).attempts == 1
