"""Enqueueing jobs, looking at them, cancelling them and running them again."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from rowqueue import Queue
from support.command import Db, Run, failed


def test_enqueue_prints_the_id_and_nothing_else(run: Run, queue: Queue) -> None:
    later = datetime.now(timezone(timedelta(hours=2))) + timedelta(days=1)
    result = run(
        "enqueue", "sync", "--payload", '{"mode": "initial"}', "--workspace-id", str(uuid4()),
        "--priority", "5", "--run-after", later.isoformat(), "--max-attempts", "1",
        "--timeout-ms", "1000", "--unique-key", "k", "--queue", "slow",
    )  # fmt: skip
    assert result.exit_code == 0
    job = queue.get_job(result.output.strip())
    assert job is not None
    assert (job.job_type, job.payload, job.priority) == ("sync", {"mode": "initial"}, 5)
    assert (job.run_after, job.max_attempts) == (later, 1)
    assert (job.timeout_ms, job.unique_key, job.queue) == (1000, "k", "slow")


def test_a_payload_can_come_from_stdin_and_is_stored_as_it_is_written(
    run: Run, queue: Queue
) -> None:
    result = run("enqueue", "sync", "--payload", "-", "--json", input='{"n": 12345678901234567.5}')
    job = queue.get_job(json.loads(result.output)["id"])
    assert job is not None
    assert job.payload_json == '{"n": 12345678901234567.5}'


def test_jobs_are_listed_newest_first_and_can_be_picked(run: Run, queue: Queue) -> None:
    first = failed(queue, "it broke")
    second = queue.enqueue("export")
    lines = run("jobs", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "TYPE", "STATUS", "ATTEMPTS", "CREATED", "NOTE"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [str(second), "export", "pending"],
        [str(first), "sync", "failed"],
    ]
    assert lines[2].endswith("it broke")
    for pick in (["--status", "failed"], ["--job-type", "sync"], ["--before", str(second)]):
        (job,) = json.loads(run("jobs", "list", *pick, "--json").stdout)
        assert (job["id"], job["error"]) == (str(first), "it broke")
    assert len(json.loads(run("jobs", "list", "--limit", "1", "--json").stdout)) == 1
    assert json.loads(run("jobs", "list", "--workspace-id", str(uuid4()), "--json").stdout) == []


def test_a_job_is_shown(run: Run, queue: Queue) -> None:
    job_id = queue.enqueue("sync", payload={"mode": "initial"})
    shown = run("jobs", "show", str(job_id)).stdout
    assert re.search(rf"^id +{job_id}$", shown, re.MULTILINE)
    assert re.search(r'^payload +{"mode": "initial"}$', shown, re.MULTILINE)
    as_json = json.loads(run("jobs", "show", str(job_id), "--json").stdout)
    assert (as_json["id"], as_json["payload"]) == (str(job_id), {"mode": "initial"})
    assert as_json["result"] is None


def test_a_job_that_python_cannot_decode_is_shown_all_the_same(
    run: Run, queue: Queue, db: Db
) -> None:
    job_id = queue.enqueue("sync")
    payload = '{"n": ' + "9" * 5000 + "}"
    db.execute("update rowqueue.jobs set payload = %s::jsonb", [payload])
    assert payload in run("jobs", "show", str(job_id)).stdout
    assert json.loads(run("jobs", "show", str(job_id), "--json").stdout)["payload"] == payload


def test_what_a_job_contains_cannot_steer_the_terminal(run: Run, queue: Queue) -> None:
    job_id = failed(queue, "\x1b[31mred\x1b[0m [bold]b[/] \u202e right\nto left")
    for result in (run("jobs", "list"), run("jobs", "show", str(job_id))):
        assert "[31mred" in result.stdout
        assert "[bold]b[/]" in result.stdout
        assert not {"\x1b", "\u202e"} & set(result.stdout)


def test_a_job_is_cancelled_and_run_again(run: Run, queue: Queue) -> None:
    job_id = str(queue.enqueue("sync"))
    assert run("jobs", "cancel", job_id, "--reason", "no need").stdout == "cancelled\n"
    job = queue.get_job(job_id)
    assert job is not None
    assert "no need" in (job.error or "")
    assert run("jobs", "retry", job_id).stdout == "pending\n"
    queue.claim_next("w")
    assert run("jobs", "cancel", job_id).stdout == "running: its worker is asked to stop\n"
    cancelled = run("jobs", "cancel", job_id, "--json")
    assert json.loads(cancelled.stdout) == {"id": job_id, "status": "cancelled"}
    retried = run("jobs", "retry", job_id, "--json")
    assert json.loads(retried.stdout) == {"id": job_id, "status": "pending"}
