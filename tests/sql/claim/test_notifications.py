"""rowqueue.mark_idle and set_notify: one NOTIFY for the worker that waits, none under load."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.calls import claim_one, enqueue, enqueue_many, rows, running, value


class Listener:
    """A session that listens, as a waiting worker does."""

    def __init__(self, session: Any) -> None:
        self._session = session
        session.execute("listen rowqueue")

    def heard(self) -> list[str]:
        """Returns the payloads that came so far, without waiting: our own word comes last."""
        self._session.execute("notify rowqueue, 'that is all'")
        payloads = []
        for notification in self._session.notifies(timeout=20):
            assert notification.channel == "rowqueue"
            if notification.payload == "that is all":
                break
            payloads.append(notification.payload)
        return payloads


@pytest.fixture
def listener(connect) -> Listener:
    return Listener(connect())


def test_nobody_is_notified_while_no_worker_waits(db, listener):
    enqueue(db)
    assert listener.heard() == []


def test_the_next_enqueue_notifies_the_waiting_worker_once_with_an_empty_payload(db, listener):
    assert value(db, "mark_idle") is True
    enqueue(db)
    enqueue_many(db, {}, {})
    assert listener.heard() == [""]


def test_a_batch_sends_one_notification(db, listener):
    value(db, "mark_idle")
    enqueue_many(db, *[{}] * 100)
    assert listener.heard() == [""]


def test_a_worker_that_runs_dry_again_is_notified_again(db, listener):
    for _ in range(2):
        assert value(db, "mark_idle") is True
        enqueue(db)
    assert listener.heard() == ["", ""]


def test_marking_twice_changes_nothing(db, listener):
    assert [value(db, "mark_idle"), value(db, "mark_idle")] == [True, True]
    enqueue(db)
    assert listener.heard() == [""]


def test_a_notification_comes_with_the_commit_of_its_job(db, listener, connect):
    value(db, "mark_idle")
    producer = connect(autocommit=False)
    enqueue(producer)
    assert listener.heard() == []
    producer.commit()
    assert listener.heard() == [""]


def test_a_released_job_wakes_a_worker(db, listener):
    job = running(db)
    value(db, "mark_idle")
    rows(db, "release", job_id=job.id, token=job.token)
    assert listener.heard() == [""]


def test_a_retried_job_wakes_a_worker(db, listener):
    job_id = enqueue(db)
    value(db, "cancel", job_id=job_id)
    value(db, "mark_idle")
    rows(db, "retry", job_id=job_id)
    assert listener.heard() == [""]


def test_a_delayed_job_wakes_a_worker_when_tick_finds_it_due(db, clock, listener):
    enqueue(db, run_after=clock.now + timedelta(hours=1))
    clock.advance(hours=1)
    value(db, "mark_idle")
    rows(db, "tick")
    assert listener.heard() == [""]
    assert claim_one(db)


def test_switched_off_nobody_is_notified_and_the_worker_is_told(db, listener):
    rows(db, "set_notify", enabled=False)
    assert value(db, "mark_idle") is False
    enqueue(db)
    assert listener.heard() == []


def test_switched_on_again_workers_are_notified(db, listener):
    rows(db, "set_notify", enabled=False)
    rows(db, "set_notify", enabled=True)
    assert value(db, "mark_idle") is True
    enqueue(db)
    assert listener.heard() == [""]
