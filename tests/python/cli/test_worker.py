"""Running a worker by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowqueue import Queue
from support.command import process


@pytest.mark.parametrize("more", [[], ["--processes", "2"]])
def test_a_worker_is_found_by_its_name_and_works(
    dsn: str, queue: Queue, handlers: Path, more: list[str]
) -> None:
    job_id = queue.enqueue("sync", payload={"n": 1})
    with process("worker", "handlers:worker", "--burst", *more, dsn=dsn, cwd=handlers) as child:
        child.communicate()
        assert child.returncode == 0
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.result) == ("completed", {"n": 1})


@pytest.mark.parametrize("target", ["handlers", "handlers:nobody", "nowhere:worker"])
def test_a_worker_that_is_not_there_is_wrong_usage(dsn: str, handlers: Path, target: str) -> None:
    with process("worker", target, dsn=dsn, cwd=handlers) as child:
        _, complaint = child.communicate()
    assert (child.returncode, complaint.count("\n")) == (2, 1)
