"""The checker itself: it acquits the innocent and notices each crime."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.calls import rows
from torture.checker import CHECKS
from torture.crimes import CRIMES
from torture.history import History, operations, outcome_of
from torture.play import Play

BY_NAME = {str(check): check for check in CHECKS}


@pytest.fixture
def play(db: psycopg.Connection[Any], tmp_path: Path) -> Play:
    """A run whose only process is the test."""
    return Play(db, tmp_path)


def test_each_check_has_a_crime() -> None:
    assert set(CRIMES) == set(BY_NAME)


@pytest.mark.parametrize("name", CRIMES)
def test_a_crime_is_noticed(play: Play, name: str) -> None:
    CRIMES[name](play)
    verdict = play.judge(BY_NAME[name])
    assert not verdict.valid
    assert verdict.broken == {name.partition(" ")[0]}


def test_an_eventful_life_is_innocent(play: Play) -> None:
    _live(play)
    verdict = play.judge()
    assert verdict.valid, verdict.report()


def test_runs_after_the_first_are_explained(play: Play) -> None:
    _live(play)
    assert play.judge().figures["runs of a job that had run before"] == {
        "it had been cancelled, and was retried": 1,
        "it had been reset by hand": 1,
        "its lease had expired": 1,
        "its time was up": 1,
        "the run before had been released": 1,
        "the run before had failed": 1,
    }


def test_a_queue_that_was_not_drained_may_hold_jobs(play: Play) -> None:
    play.enqueue()
    play.claim()
    play.enqueue()
    assert not play.judge().valid
    assert play.judge(drained=False).valid


def test_the_report_tells_the_story_of_the_guilty_job(play: Play) -> None:
    play.enqueue()
    job = play.claimed()
    play.history.note("complete", job=job.id, token=job.token)
    report = play.judge(seed="7", commit="abc", drained=False).report()
    assert report.startswith("{:valid? false}\nseed 7, commit abc")
    assert "VIOLATED I-8 a completion that was acknowledged is stored: 1 times" in report
    assert f"  job {job.id}\n" in report
    assert f"complete ok token {job.token}" in report
    assert "pending -> running by claim_next" in report


def test_a_run_in_which_a_fault_did_not_happen_is_void(play: Play) -> None:
    play.history.note("fault", key="sigkill", target="nobody")
    verdict = play.judge(faults=("sigkill", "cut"))
    assert verdict.valid
    assert "fault cut" in verdict.missing
    assert "fault sigkill" not in verdict.missing
    assert "a worker was killed while a handler ran" in verdict.missing
    assert verdict.report().startswith("{:valid? :void}")


def test_a_kill_is_placed_by_what_the_process_did_last(play: Play) -> None:
    job = play.claimed()
    play.history.invoke("run", job=job.id, token=job.token, key=job.payload["key"])
    play.history.note("fault", key="sigkill", target="hero")
    seen = play.judge(faults=("sigkill",), drained=False).seen
    assert seen["a worker was killed while a handler ran"] == 1
    assert seen["a worker was killed between claim and start"] == 0


def test_a_history_survives_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    with History.open(tmp_path, "p") as history:
        history.invoke("claim_next", max_jobs=5)
    with (tmp_path / "p.jsonl").open("a") as file:
        file.write('{"p": "p", "seq": 1, "t_mo')
    [operation] = operations(tmp_path)
    assert (operation.type, operation.code, operation.t1) == ("info", "cut off", None)
    assert operation.value == {"max_jobs": 5}


def test_a_batch_is_one_operation_for_each_job(tmp_path: Path) -> None:
    with History.open(tmp_path, "p") as history:
        asked = [{"job": "a", "token": 1}, {"job": "b", "token": 2}]
        with history.call("complete_many", items=asked) as call:
            call.reply(items=[{"job": "b", "code": "lost"}, {"job": "a", "code": "completed"}])
        with history.call("enqueue_many", items=[{"key": "k"}, {"key": "l"}]) as call:
            call.reply(items=[{"job": "c"}, {"job": "d"}])
        with history.call("claim_next", lease=timedelta(seconds=2)) as call:
            call.reply(items=[])
    told = [(o.f, o.key, o.job, o.token, o.code) for o in operations(tmp_path)]
    assert told == [
        ("complete_many", None, "a", 1, "completed"),
        ("complete_many", None, "b", 2, "lost"),
        ("enqueue_many", "k", "c", None, None),
        ("enqueue_many", "l", "d", None, None),
        ("claim_next", None, None, None, None),
    ]


def test_an_error_is_certain_only_if_the_server_raised_it() -> None:
    assert outcome_of(psycopg.errors.UniqueViolation()) == "fail"
    assert outcome_of(psycopg.errors.SerializationFailure()) == "fail"
    assert outcome_of(psycopg.DataError("cannot dump")) == "fail"
    assert outcome_of(psycopg.errors.AdminShutdown()) == "info"
    assert outcome_of(psycopg.errors.ConnectionFailure()) == "info"
    assert outcome_of(psycopg.OperationalError("the connection is lost")) == "info"
    assert outcome_of(KeyboardInterrupt()) == "info"


def test_an_error_ends_the_operation_and_goes_on(tmp_path: Path) -> None:
    with (
        History.open(tmp_path, "p") as history,
        pytest.raises(psycopg.errors.UniqueViolation),
        history.call("enqueue", key="k"),
    ):
        raise psycopg.errors.UniqueViolation
    last = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[-1])
    assert (last["type"], last["code"]) == ("fail", "23505")


def _live(play: Play) -> None:
    """Lets jobs end in each of the ways that there are."""
    at_once = {"retry_after": "0"}
    released = play.claimed()
    play.run(released)
    play.report("release", released)
    [again] = play.claim()
    play.run(again)
    play.report("extend_lease", again)
    play.report("report_progress", again, current=1, total=2)
    play.complete(again)
    play.complete(again)

    failed = play.claimed("effect", max_attempts=2)
    play.run(failed)
    play.report("fail_with_backoff", failed, error="no", **at_once)
    [again] = play.claim()
    play.run(again)
    with play.history.call("complete", job=again.id, token=again.token), play.db.transaction():
        play.db.execute("insert into torture.effects values (%s, %s)", [again.id, again.token])
        rows(play.db, "complete", job_id=again.id, token=again.token)

    play.enqueue(unique_key="k")
    play.enqueue()
    [crashed, neighbour] = play.claim(2, lease="1 microsecond")
    play.run(crashed)
    play.complete(neighbour)
    play.db.execute("select rowqueue.reap_stuck()")
    [again] = play.claim()
    play.run(again)
    play.refused("complete", "RQ101", crashed)
    play.complete(again)

    play.enqueue(timeout_ms=1, max_attempts=1)
    [slow] = play.claim()
    play.run(slow)
    play.db.execute("select pg_sleep(0.002)")
    play.db.execute("select rowqueue.tick()")
    with play.history.call("retry", job=slow.id):
        rows(play.db, "retry", job_id=slow.id)
    [again] = play.claim()
    play.run(again)
    play.complete(again)

    reset = play.claimed()
    play.run(reset)
    play.change(reset.id, None, "status = 'pending', started_at = null")
    [again] = play.claim()
    play.run(again)
    for _ in range(2):
        with play.history.call("cancel", job=again.id):
            rows(play.db, "cancel", job_id=again.id)
    with play.history.call("retry", job=again.id):
        rows(play.db, "retry", job_id=again.id)
    [again] = play.claim()
    play.run(again)
    play.report("fail_with_backoff", again, error="no", retry=False)

    with play.history.call("purge_finished") as call:
        [(removed,)] = rows(play.db, "purge_finished", older_than="0", max_jobs=2)
        call.reply(removed=removed)
