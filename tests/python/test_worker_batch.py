"""Calls that go out together: one that fails spoils no other, then or later."""

from __future__ import annotations

from uuid import uuid4

import psycopg

from rowqueue import calls
from rowqueue.calls import Call
from rowqueue.worker.batch import run_each, run_each_async
from support.calls import Session, claim, enqueue_many


def releases(db: Session, count: int) -> list[Call[None]]:
    """Calls that release as many running jobs."""
    enqueue_many(db, *[{}] * count)
    return [calls.release(job.id, token=job.token) for job in claim(db, count)]


def rounds(db: Session) -> list[list[Call[None]]]:
    """Calls of one statement, so often that psycopg would prepare it behind one that fails."""
    lost = calls.release(uuid4(), token=1)
    return [releases(db, 2), [lost, *releases(db, 4)], releases(db, 2)]


CODES = [[None] * 2, ["RQ001", None, None, None, None], [None] * 2]


def code(answer: object) -> str | None:
    """The SQLSTATE of an error, None for a result."""
    return answer.sqlstate if isinstance(answer, psycopg.Error) else None


def test_an_error_leaves_no_statement_that_only_seems_prepared(dsn: str, db: Session) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        answers = [run_each(connection, batch) for batch in rounds(db)]
    assert [[code(answer) for answer in batch] for batch in answers] == CODES


async def test_nor_on_a_connection_that_waits(dsn: str, db: Session) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        answers = [await run_each_async(connection, batch) for batch in rounds(db)]
    assert [[code(answer) for answer in batch] for batch in answers] == CODES
