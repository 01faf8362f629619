"""A sequence comes to its end: the error is clear, nothing is lost, and what went before stands."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from servers.ask import ask
from support.calls import (
    Session,
    claim,
    claim_one,
    enqueue,
    everything,
    refused,
    rows,
    running,
    value,
)

EXHAUSTED = "2200H"


def leave(db: Session, sequence: str, numbers: int) -> int:
    """Leaves so many numbers in a sequence, and returns the last one."""
    query = "select seqmax from pg_sequence where seqrelid = %s::regclass"
    last: int = ask(db, query, [f"rowqueue.{sequence}"]).seqmax
    db.execute("select setval(%s, %s)", [f"rowqueue.{sequence}", last - numbers])
    return last


def tick_often(db: Session) -> None:
    """Lets the maintenance take notice, and then act on it."""
    for _ in range(3):
        value(db, "tick")


def test_the_last_tickets_are_claimed_in_order_and_then_an_enqueue_is_refused(db: Session) -> None:
    enqueue(db, queue="other")
    leave(db, "tickets", 2)
    made = [enqueue(db), enqueue(db)]
    before = everything(db)
    with refused(db, EXHAUSTED) as caught:
        enqueue(db)
    assert "tickets" in str(caught.value)
    assert everything(db) == before
    assert [one.id for one in claim(db, 10)] == made
    tick_often(db)
    assert len(claim(db, queues=["other"])) == 1


def test_after_the_last_ticket_running_jobs_can_still_end(db: Session) -> None:
    done, failing = running(db), running(db)
    leave(db, "tickets", 0)
    rows(db, "complete", job_id=done.id, token=done.token)
    value(db, "fail_with_backoff", job_id=failing.id, token=failing.token, error="no", retry=False)
    tick_often(db)


def test_after_the_last_token_a_claim_is_refused_and_the_job_waits(db: Session) -> None:
    held = running(db)
    last = leave(db, "tokens", 1)
    enqueue(db)
    assert claim_one(db).token == last
    waiting = enqueue(db)
    before = everything(db)
    with refused(db, EXHAUSTED) as caught:
        claim(db)
    assert "tokens" in str(caught.value)
    assert everything(db) == before
    rows(db, "complete", job_id=held.id, token=held.token)
    tick_often(db)
    assert value(db, "cancel", job_id=waiting) == "cancelled"


@pytest.mark.parametrize("sequence", ["watermarks_id_seq", "below_floor"])
def test_where_maintenance_has_counted_to_the_end_jobs_run_all_the_same(
    db: Session, sequence: str
) -> None:
    held = running(db)
    leave(db, sequence, 0)
    for _ in range(3):
        with suppress(psycopg.errors.SequenceGeneratorLimitExceeded):
            value(db, "tick")
        enqueue(db)
        claimed = claim_one(db)
        rows(db, "complete", job_id=claimed.id, token=claimed.token)
    db.execute("update rowqueue.jobs set lease_until = now() where status = 'running'")
    assert [one.id for one in rows(db, "reap_stuck")] == [held.id]
