"""The server's queue of notifications is full: jobs are enqueued all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from rowqueue.embedded import EmbeddedUnavailable
from servers.node import Node, own_node
from support.calls import Session, enqueue, enqueue_many, running, value

SMALL_QUEUE = {"max_notify_queue_pages": 64}
"""The least that PostgreSQL takes, from 17 on. Below, the queue holds 8 GB."""


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    try:
        with own_node(version="18", settings=SMALL_QUEUE) as node:
            yield node
    except EmbeddedUnavailable as error:
        pytest.skip(f"needs a server whose notification queue can be made small: {error}")


@pytest.fixture
def db(node: Node) -> Iterator[Session]:
    with node.connect() as session:
        yield session


@pytest.fixture
def full(node: Node, db: Session) -> Iterator[None]:
    """Fills the queue: somebody listens, stays in a transaction, and so hears nothing."""
    with node.connect(autocommit=False) as deaf:
        deaf.execute("listen noise")
        deaf.commit()
        deaf.execute("select 1")
        noise = "select pg_notify('noise', repeat('x', 7000))"
        with suppress(psycopg.errors.ProgramLimitExceeded):
            while True:
                db.execute(noise)
        yield
        deaf.rollback()


@pytest.mark.usefixtures("full")
def test_an_enqueue_succeeds_though_nobody_can_be_notified(db: Session) -> None:
    assert value(db, "mark_idle") is True
    first = enqueue(db)
    made = enqueue_many(db, {}, {"unique_key": "k"})
    assert db.execute("select count(*) from rowqueue.jobs").fetchone() == (len(made) + 1,)
    assert db.execute("select status from rowqueue.jobs where id = %s", [first]).fetchone()


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("verb", ["release", "retry"])
def test_a_job_goes_back_though_nobody_can_be_notified(db: Session, verb: str) -> None:
    job = running(db)
    if verb == "retry":
        value(db, "cancel", job_id=job.id)
        assert value(db, "cancel", job_id=job.id) == "cancelled"
    assert value(db, "mark_idle") is True
    arguments = {"token": job.token} if verb == "release" else {}
    value(db, verb, job_id=job.id, **arguments)
    assert db.execute("select status from rowqueue.jobs where id = %s", [job.id]).fetchone() == (
        "pending",
    )


def test_notifications_are_sent_again_once_there_is_room(node: Node, db: Session) -> None:
    with node.connect() as listener:
        listener.execute("listen rowqueue")
        value(db, "mark_idle")
        enqueue(db)
        assert [one.channel for one in listener.notifies(timeout=20, stop_after=1)] == ["rowqueue"]
