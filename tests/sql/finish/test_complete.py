"""rowqueue.complete: running -> completed, together with what the handler wrote."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.calls import claim_one, enqueue, job, refused, rows, running, stored, value


def complete(session, held, **arguments):
    """Completes a claimed job."""
    return value(session, "complete", job_id=held.id, token=held.token, **arguments)


def test_a_completed_job_has_its_result_and_the_time_and_keeps_the_rest(tx, clock):
    held = running(tx, payload={"n": 1}, unique_key="k")
    rows(tx, "report_progress", job_id=held.id, token=held.token, current=5, total=10)
    before = stored(tx, held.id)
    clock.advance(seconds=7)
    complete(tx, held, result={"totalRecords": 1234})
    assert stored(tx, held.id) == before._replace(
        status="completed", result={"totalRecords": 1234}, completed_at=clock.now, ticket=None
    )


@pytest.mark.parametrize(
    "result", [None, "null", "1.5", '"words"', "[]", '[1, {"a": null}]', "true"], ids=str
)
def test_a_result_is_any_json_value_or_null(tx, result):
    held = running(tx)
    complete(tx, held, result=result)
    text = tx.execute("select result::text from rowqueue.jobs where id = %s", [held.id])
    assert text.fetchone().result == result


def test_without_a_result_it_is_null(tx):
    held = running(tx)
    complete(tx, held)
    assert job(tx, held.id).result is None


def test_a_second_call_with_the_same_token_does_nothing(tx, clock):
    held = running(tx)
    complete(tx, held, result={"n": 1})
    before = stored(tx, held.id)
    clock.advance(seconds=7)
    complete(tx, held, result={"n": 2})
    assert stored(tx, held.id) == before


def test_a_job_completes_although_its_lease_ran_out_while_nobody_took_it_back(tx, clock):
    held = running(tx)
    clock.advance(hours=1)
    complete(tx, held)
    assert job(tx, held.id).status == "completed"


def test_a_job_completes_although_it_was_asked_to_stop(tx):
    held = running(tx)
    value(tx, "cancel", job_id=held.id)
    complete(tx, held)
    assert job(tx, held.id).status == "completed"


def test_a_business_write_and_the_completion_stand_together(db, connect):
    db.execute("create table public.effects (n int)")
    held = running(db)
    worker = connect(autocommit=False)
    worker.execute("insert into public.effects values (1)")
    complete(worker, held)
    assert job(db, held.id).status == "running"
    worker.commit()
    assert job(db, held.id).status == "completed"
    assert len(db.execute("select from public.effects").fetchall()) == 1


def test_a_business_write_and_the_completion_fall_together(db, connect):
    db.execute("create table public.effects (n int)")
    held = running(db)
    worker = connect(autocommit=False)
    worker.execute("insert into public.effects values (1)")
    complete(worker, held)
    worker.rollback()
    assert job(db, held.id).status == "running"
    complete(db, held)


def test_a_worker_that_lost_its_lease_loses_its_business_write_too(db, clock, connect):
    db.execute("create table public.effects (n int)")
    held = running(db)
    clock.advance(minutes=2)
    rows(db, "reap_stuck")
    worker = connect(autocommit=False)
    worker.execute("insert into public.effects values (1)")
    with pytest.raises(psycopg.Error) as caught:
        complete(worker, held)
    assert caught.value.sqlstate == "RQ101"
    assert worker.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
    worker.rollback()
    assert db.execute("select from public.effects").fetchall() == []


def test_an_old_token_is_refused_when_another_worker_has_the_job(tx):
    old = running(tx)
    rows(tx, "release", job_id=old.id, token=old.token)
    new = claim_one(tx, queues=[old.queue])
    before = stored(tx, old.id)
    with refused(tx, "RQ101"):
        complete(tx, old)
    assert stored(tx, old.id) == before
    complete(tx, new)


def test_a_token_of_another_job_is_refused(tx):
    one, two = running(tx), running(tx)
    with refused(tx, "RQ101"):
        complete(tx, one._replace(token=two.token))
    assert [job(tx, each.id).status for each in (one, two)] == ["running", "running"]


def test_a_result_that_cannot_be_stored_is_refused_and_the_job_still_runs(tx):
    held = running(tx)
    before = stored(tx, held.id)
    with refused(tx, "RQ103"):
        complete(tx, held, result=Jsonb("x" * 1_100_000))
    assert stored(tx, held.id) == before


def test_completed_jobs_are_in_no_queue_and_no_worker_gets_them(tx, clock):
    held = running(tx)
    complete(tx, held)
    clock.advance(timedelta(days=1))
    assert rows(tx, "reap_stuck") == []
    assert rows(tx, "claim_next", worker="w", queues=[held.queue]) == []


def test_completion_waits_for_no_enqueue_and_no_claim(db, connect):
    held = running(db)
    other = connect(autocommit=False)
    enqueue(other, queue=held.queue)
    rows(other, "claim_next", worker="w", queues=[held.queue])
    db.execute("set lock_timeout = '1ms'")
    complete(db, held)
