"""What was accepted, read with the product's own code: as a worker claims, as a client lists."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import args_row

from rowqueue import calls, client
from rowqueue.calls import Call
from rowqueue.worker.job import Job

MOST = 1_048_576


def numbers(value: Any) -> Iterator[int | float]:
    """Yields every number in a decoded document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


def check(decoded: Any) -> None:
    """Raises unless what was decoded can be used, and encoded again by any JSON library."""
    assert all(math.isfinite(number) for number in numbers(decoded))
    assert len(json.dumps(decoded, ensure_ascii=False, allow_nan=False).encode()) <= 2 * MOST


def read(text: str) -> Any:
    """Decodes a document as the worker does, and checks that nothing in it is lost or useless."""
    decoded = json.loads(text)
    check(decoded)
    assert len(text.encode()) <= MOST
    return decoded


def claim_all(session: psycopg.Connection[Any]) -> list[Job]:
    """Claims until nothing is due, in every queue, as a worker does; decodes each payload."""
    queues = [
        queue for (queue,) in session.execute("select distinct queue from rowqueue.jobs_live")
    ]
    claimed: list[Job] = []
    for first in range(0, len(queues), 100):
        call = calls.claim_next("reader", queues=queues[first : first + 100], max_jobs=1000)
        call_for_jobs = Call(call.sql, call.params, args_row(Job), list[Job])
        while jobs := client.run(session, call_for_jobs):
            claimed += jobs
    for job in claimed:
        check(job.payload)
    return claimed


def list_all(session: psycopg.Connection[Any]) -> int:
    """Reads every job, page by page, and all that it carries; returns how many there are."""
    before, count = None, 0
    while page := client.run(session, calls.list_jobs(max_jobs=1000, before=before)):
        for row in page:
            for document in (row.payload, row.progress, row.result):
                check(document)
        count += len(page)
        before = page[-1].id
    client.run(session, calls.health())
    return count
