"""Calls the SQL functions by name, as any client in any language would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

Session = psycopg.Connection[Any]

NOBODY = UUID("01890000-0000-7000-8000-000000000000")
"""A well-formed id that no job has."""


def rows(session: Session, function: str, /, **arguments: Any) -> list[Any]:
    """Returns the rows of ``select * from rowqueue.function(argument => …)``."""
    call = sql.SQL("select * from rowqueue.{}({})").format(
        sql.Identifier(function),
        sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in arguments
        ),
    )
    values = {
        name: Jsonb(value) if isinstance(value, dict) else value
        for name, value in arguments.items()
    }
    return session.execute(call, values).fetchall()


def value(session: Session, function: str, /, **arguments: Any) -> Any:
    """Returns what a function that gives one value gives."""
    [(only,)] = rows(session, function, **arguments)
    return only


def enqueue(session: Session, job_type: str = "sync", **arguments: Any) -> UUID:
    """Enqueues a job and returns its id."""
    job_id: UUID = value(session, "enqueue", job_type=job_type, **arguments)
    return job_id


def enqueue_many(session: Session, *jobs: dict[str, Any]) -> list[Any]:
    """Enqueues a job for each mapping of arguments; ``job_type`` may be left out."""
    return rows(session, "enqueue_many", jobs=Jsonb([{"job_type": "sync", **job} for job in jobs]))


def claim(session: Session, max_jobs: int = 1, **arguments: Any) -> list[Any]:
    """Claims jobs and returns their rows."""
    return rows(session, "claim_next", **{"worker": "w", "max_jobs": max_jobs, **arguments})


def claim_one(session: Session, **arguments: Any) -> Any:
    """Claims the next job and returns its row."""
    [job] = claim(session, **arguments)
    return job


def open_lanes(session: Session, *queues: str) -> None:
    """Uses each queue once: from then on its jobs have their place in the order at once."""
    for queue in queues:
        enqueue(session, queue=queue)
        done = claim_one(session, queues=[queue])
        rows(session, "complete", job_id=done.id, token=done.token)


def running(session: Session, job_type: str = "sync", **arguments: Any) -> Any:
    """Enqueues a job, claims it from a queue of its own, and returns the row of the claim."""
    queue = uuid4().hex
    enqueue(session, job_type, queue=queue, **arguments)
    return claim_one(session, queues=[queue])


def job(session: Session, job_id: UUID) -> Any:
    """Returns the row of get_job."""
    [found] = rows(session, "get_job", job_id=job_id)
    return found


def stored(session: Session, job_id: UUID) -> Any:
    """Returns the whole row of the table, private columns included, None if there is none."""
    return session.execute("select * from rowqueue.jobs where id = %s", [job_id]).fetchone()


def everything(session: Session) -> list[Any]:
    """Returns all rows of the table: equal before and after means that no job was touched."""
    return session.execute("select * from rowqueue.jobs order by id").fetchall()


@contextmanager
def refused(session: Session, sqlstate: str) -> Iterator[pytest.ExceptionInfo[psycopg.Error]]:
    """Expects that a call raises this SQLSTATE, in a transaction or savepoint of its own.

    So a transaction around it can go on.
    """
    with pytest.raises(psycopg.Error) as caught, session.transaction():
        yield caught
    assert caught.value.sqlstate == sqlstate, caught.value
