"""Rowqueue's jobs by the million: enqueued, or written as if they had been completed."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

Session = psycopg.Connection[Any]

_CHUNK = 100_000
_BATCH = 1000

_PENDING: LiteralString = """
    select count(*)
    from generate_series(%(first)s::int, %(last)s, %(batch)s) as first
    cross join lateral (
        select jsonb_agg(jsonb_build_object(
            'job_type', 'noop',
            'payload', jsonb_build_object('n', n, 'pad', repeat('x', 50)))) as jobs
        from generate_series(first, first + %(batch)s::int - 1) as n
    ) as made
    cross join lateral rowqueue.enqueue_many(made.jobs)
"""

# Due in one to thirty days.
_DELAYED: LiteralString = """
    select count(*)
    from generate_series(%(first)s::int, %(last)s, %(batch)s) as first
    cross join lateral (
        select jsonb_agg(jsonb_build_object(
            'job_type', 'noop',
            'payload', jsonb_build_object('n', n, 'pad', repeat('x', 50)),
            'run_after', now() + interval '1 day' + n %% 2505600 * interval '1 second')) as jobs
        from generate_series(first, first + %(batch)s::int - 1) as n
    ) as made
    cross join lateral rowqueue.enqueue_many(made.jobs)
"""

# Completed one after another, the last one now; their ids are UUIDv7 of the time they were created.
_FINISHED: LiteralString = """
    insert into rowqueue.jobs (
        id, token, created_at, run_after, started_at, completed_at, lease_until, attempts,
        status, queue, job_type, worker, payload)
    select
        encode(
            substring(int8send((extract(epoch from done.at) * 1000)::bigint), 3)
            || '\\x7000' || substring(uuid_send(gen_random_uuid()), 9),
            'hex')::uuid,
        nextval('rowqueue.tokens'),
        done.at, done.at, done.at, done.at, done.at + interval '1 minute', 1,
        'completed', 'default', 'noop', 'bench', jsonb_build_object('n', n, 'pad', repeat('x', 50))
    from generate_series(%(first)s::int, %(last)s) as n
    cross join lateral (select now() - (%(jobs)s - n) * interval '8 milliseconds' as at) as done
"""


def pending(session: Session, jobs: int) -> None:
    """Adds jobs that are due."""
    _fill(session, _PENDING, jobs)


def delayed(session: Session, jobs: int) -> None:
    """Adds jobs that are not due for a day."""
    _fill(session, _DELAYED, jobs)


def finished(session: Session, jobs: int) -> None:
    """Adds completed jobs."""
    _fill(session, _FINISHED, jobs)


def _fill(session: Session, query: LiteralString, jobs: int) -> None:
    for first in range(1, jobs + 1, _CHUNK):
        last = min(first + _CHUNK - 1, jobs)
        session.execute(query, {"first": first, "last": last, "batch": _BATCH, "jobs": jobs})
