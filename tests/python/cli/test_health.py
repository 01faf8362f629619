"""How each queue is, as an exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from rowqueue import Queue
from support.command import Db, Run, failed


def test_a_healthy_queue_exits_with_0(run: Run, queue: Queue) -> None:
    queue.enqueue("sync")
    result = run("health")
    assert (result.exit_code, result.stderr) == (0, "")
    header, line = result.stdout.splitlines()
    assert header.split()[:3] == ["QUEUE", "PENDING", "DUE"]
    assert line.split()[:6] == ["default", "1", "1", "0", "0", "0"]
    healthy = json.loads(run("health", "--json").stdout)
    assert (healthy["healthy"], healthy["alerts"]) == (True, [])
    assert healthy["queues"][0]["pending"] == 1


@pytest.mark.parametrize(
    ("trouble", "alert"),
    [
        (lambda queue, _: failed(queue), "100% failed in the last hour in queue default"),
        (
            lambda queue, _: queue.enqueue_many([{"job_type": "sync"}] * 101),
            "101 due in queue default",
        ),
        (
            lambda queue, db: (
                queue.enqueue("sync"),
                queue.claim_next("w"),
                db.execute("update rowqueue.jobs set lease_until = now() - interval '1 minute'"),
            ),
            "1 stuck in queue default",
        ),
    ],
    ids=["failures", "backlog", "stuck"],
)
def test_a_queue_that_is_not_healthy_exits_with_1(
    run: Run, queue: Queue, db: Db, trouble: Callable[[Queue, Db], object], alert: str
) -> None:
    trouble(queue, db)
    result = run("health")
    assert (result.exit_code, result.stderr) == (1, f"rowqueue: not healthy: {alert}\n")
    as_json = json.loads(run("health", "--json").stdout)
    assert (as_json["healthy"], as_json["alerts"]) == (False, [alert])


def test_the_bounds_of_health_can_be_moved(run: Run, queue: Queue) -> None:
    failed(queue)
    queue.enqueue_many([{"job_type": "sync"}] * 101)
    assert run("health", "--max-due", "1000", "--max-failure-rate", "1").exit_code == 0
