"""While somebody holds a snapshot, no function's work grows with the jobs that have come and gone.

The index entries of those jobs cannot be removed meanwhile. Work is counted, not timed: the index
entries that a call reads, those of gone jobs included, and the pages that it looks at.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import psycopg

from races.mutations import NO_FLOORS
from races.stage import Stage

ROUNDS = 7
JOBS_A_ROUND = 400
ENTRIES_READ = """
    select sum(pg_stat_get_xact_tuples_returned(c.oid))
    from pg_class as c
    where c.relnamespace = 'rowqueue'::regnamespace and c.relkind in ('i', 'r')
"""


class Work(NamedTuple):
    """What a call costs."""

    entries: int
    pages: int


def test_no_function_slows_down(stage: Stage) -> None:
    first, last = _early_and_late_work(stage)
    grown = {
        name: f"{first[name]} -> {last[name]}"
        for name in first
        if last[name].entries > first[name].entries + 30
        or last[name].pages > first[name].pages + 30
    }
    assert grown == {}


def test_without_floors_they_slow_down(stage: Stage) -> None:
    NO_FLOORS.apply(stage.db)
    first, last = _early_and_late_work(stage)
    gone = (ROUNDS - 3) * JOBS_A_ROUND
    for name in ("claim_next", "claim_next when nothing is due", "reap_stuck"):
        assert last[name].entries >= first[name].entries + gone
        assert last[name].pages >= first[name].pages + 100


def _early_and_late_work(stage: Stage) -> tuple[dict[str, Work], dict[str, Work]]:
    _mostly_pending_when_analysed(stage)
    holder, worker = stage.connect(), stage.connect()
    holder.execute("begin isolation level repeatable read")
    holder.execute("select count(*) from rowqueue.jobs")
    rounds = []
    for _ in range(ROUNDS):
        _jobs_come_and_go(stage)
        rounds.append(_work_of_each_function(stage, worker))
    # In the first round the session reads the catalogue; in the second, pages have room yet.
    return rounds[2], rounds[-1]


def _mostly_pending_when_analysed(stage: Stage) -> None:
    """A backlog waits and nothing runs: statistics that tempt the planner."""
    stage.db.execute(
        "select rowqueue.enqueue('sync', queue => 'backlog') from generate_series(1, 1000)"
    )
    stage.db.execute("vacuum analyze rowqueue.jobs_live")


def _jobs_come_and_go(stage: Stage) -> None:
    for delay in ("0", "1 second"):
        stage.db.execute(
            "select rowqueue.enqueue('sync', run_after => rowqueue._now() + %s) "
            "from generate_series(1, %s)",
            [delay, JOBS_A_ROUND // 2],
        )
    stage.pass_time(timedelta(seconds=2))
    stage.tick()
    assert stage.work(["default"]) == JOBS_A_ROUND
    stage.tick(2)


def _work_of_each_function(stage: Stage, worker: psycopg.Connection[Any]) -> dict[str, Work]:
    work: dict[str, Work] = {}

    def measure(name: str, call: str, *params: Any) -> list[Any]:
        rows, work[name] = _measured(worker, call, params)
        return rows

    measure("tick", "select rowqueue.tick()")
    measure("reap_stuck", "select * from rowqueue.reap_stuck()")
    measure("claim_next when nothing is due", "select * from rowqueue.claim_next('w')")
    measure("enqueue", "select rowqueue.enqueue('sync') from generate_series(1, 20)")
    # A key of this round: all uses of one key leave entries in the place where the next one looks.
    key = stage.value("select rowqueue._now()::text")
    keyed = "select rowqueue.enqueue('sync', unique_key => %s)"
    measure("enqueue with a key", keyed, key)
    measure("enqueue with the key again", keyed, key)
    jobs = measure("claim_next", "select id, token from rowqueue.claim_next('w', max_jobs => 20)")
    ids, tokens = [job.id for job in jobs], [job.token for job in jobs]
    measure("extend_leases", "select * from rowqueue.extend_leases(%s, %s)", ids, tokens)
    measure("report_progress", "select rowqueue.report_progress(%s, %s, 1)", ids[0], tokens[0])
    measure("release", "select rowqueue.release(%s, %s)", ids[0], tokens[0])
    measure("fail_with_backoff", "select rowqueue.fail_with_backoff(%s, %s, '')", ids[1], tokens[1])
    measure("cancel", "select rowqueue.cancel(%s)", ids[1])
    measure("retry", "select rowqueue.retry(%s)", ids[1])
    measure("get_job", "select * from rowqueue.get_job(%s)", ids[1])
    measure("complete_many", "select * from rowqueue.complete_many(%s, %s)", ids[2:], tokens[2:])
    stage.work(["default"])
    stage.tick(2)
    return work


def _measured(
    session: psycopg.Connection[Any], call: str, params: tuple[Any, ...]
) -> tuple[list[Any], Work]:
    """Makes a call once for its rows and entries, and once more for its pages, rolled back."""
    with session.transaction(force_rollback=True):
        explain = f"explain (analyze, buffers, format json) {call}"
        [[[plan]]] = session.execute(explain, params).fetchall()
        pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    with session.transaction():
        [[before]] = session.execute(ENTRIES_READ).fetchall()
        rows = session.execute(call, params).fetchall()
        [[after]] = session.execute(ENTRIES_READ).fetchall()
    return rows, Work(int(after - before), pages)
