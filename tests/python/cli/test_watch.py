"""Following a job until it ends."""

from __future__ import annotations

import json
import os

from rowqueue import Queue
from support.command import Run, failed, process


def test_watching_prints_a_line_for_each_change(dsn: str, queue: Queue) -> None:
    job_id = queue.enqueue("sync")
    with process("jobs", "watch", str(job_id), "--interval", "0.05", dsn=dsn) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "pending\n"
        (job,) = queue.claim_next("w")
        assert child.stdout.readline() == "running\n"
        queue.report_progress(job_id, token=job.token, current=5, total=34, message="page 5 of 34")
        assert child.stdout.readline() == "running 5/34 page 5 of 34\n"
        queue.complete(job_id, token=job.token)
        assert child.stdout.readline() == "completed\n"
        assert child.wait() == 0


def test_watching_a_job_that_fails_exits_with_1(run: Run, queue: Queue) -> None:
    job_id = failed(queue, "it broke")
    result = run("jobs", "watch", str(job_id))
    assert (result.exit_code, result.stdout) == (1, "failed it broke\n")
    assert result.stderr == f"rowqueue: job {job_id} failed: it broke\n"
    queue.retry(job_id)
    queue.cancel(job_id)
    result = run("jobs", "watch", str(job_id), "--json")
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (1, "cancelled")


def test_watching_on_a_terminal_shows_a_bar(dsn: str, queue: Queue) -> None:
    job_id = queue.enqueue("sync")
    (job,) = queue.claim_next("w")
    queue.report_progress(job_id, token=job.token, current=5, total=34, message="page 5")
    terminal, its_end = os.openpty()
    with process("jobs", "watch", str(job_id), "--interval", "0.05", dsn=dsn, stdout=its_end) as (
        child
    ):
        os.close(its_end)
        seen = ""
        while "page 5" not in seen:
            seen += os.read(terminal, 10_000).decode()
        assert "5/34" in seen
        assert "━" in seen
        queue.complete(job_id, token=job.token)
        assert child.wait() == 0
    os.close(terminal)
