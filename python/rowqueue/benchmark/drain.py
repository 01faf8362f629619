"""How fast jobs get done that do nothing: by one Python worker, and by SQL alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from uuid import UUID

from rowqueue import Job, Worker
from rowqueue.benchmark.names import JOB_TYPE, LEASE, QUEUE, WORKER
from rowqueue.benchmark.place import AsyncSession, Place

Progress = Callable[[int], None]

_CLAIM_BATCH = 500
_SQL_SESSIONS = 2
_SHOW_EVERY = 500

# As text there and back: no client has to look at the ids while the clock runs.
_CLAIM = """
    select array_agg(c.id)::text, array_agg(c.token)::text
    from rowqueue.claim_next(worker => %s, queues => %s, max_jobs => %s, lease => %s) as c
"""
_COMPLETE = "select count(*) from rowqueue.complete_many(%s::uuid[], %s::bigint[])"

_COMPLETED = """
    select coalesce(bool_and(j.status = 'completed'), true)
    from unnest(%s::uuid[]) as asked(id)
    cross join lateral rowqueue.get_job(asked.id) as j
"""
_LAST = 100


@dataclass(frozen=True, slots=True)
class Drained:
    """A drain that is over.

    Attributes:
        handled: the jobs, once for each time that they were run.
        seconds: from the first job in its handler until all were completed.
    """

    handled: Sequence[UUID]
    seconds: float


def new_worker(place: Place) -> Worker:
    """Returns a worker of the benchmark's, without handlers."""
    return Worker(place.dsn, queues=[QUEUE], name=WORKER, lease=LEASE, pooler=place.shared)


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """Runs a worker until the block ends, and raises what it raises."""
    task = asyncio.create_task(worker.run_async())
    try:
        yield task
    finally:
        worker.stop()
        await task


async def until(something: asyncio.Event, worker: asyncio.Task[None], *, within: float) -> None:
    """Returns once an event is set, the time is up, or the worker has broken down."""
    waiting = asyncio.create_task(something.wait())
    try:
        await asyncio.wait({waiting, worker}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def by_worker(place: Place, count: int, *, within: float, progress: Progress) -> Drained:
    """Lets one worker with handlers that do nothing run the jobs of the queue.

    Args:
        place: the database.
        count: how many jobs there are.
        within: seconds after which to leave the rest.
        progress: told now and then how many were run.
    """
    handled: list[UUID] = []
    all_handled = asyncio.Event()
    began = 0.0
    worker = new_worker(place)

    @worker.handler(JOB_TYPE)
    async def noop(job: Job) -> None:
        nonlocal began
        began = began or perf_counter()
        handled.append(job.id)
        if not len(handled) % _SHOW_EVERY:
            progress(len(handled))
        if len(handled) == count:
            all_handled.set()

    async with await place.connect_async() as session, working(worker) as task:
        await until(all_handled, task, within=within)
        if all_handled.is_set():
            await _completed(session, handled[-_LAST:])
        seconds = perf_counter() - began
    return Drained(handled, seconds)


async def _completed(session: AsyncSession, last: Sequence[UUID]) -> None:
    """Returns once the jobs that were run last are completed."""
    done = False
    while not done:
        cursor = await session.execute(_COMPLETED, [list(last)])
        (done,) = await cursor.fetchone() or (True,)


async def by_sql(place: Place, *, within: float, progress: Progress) -> Drained:
    """Claims and completes the jobs of the queue in batches, without any handler.

    Args:
        place: the database.
        within: seconds after which to leave the rest.
        progress: told after each batch how many were completed.
    """
    claimed: list[str] = []
    count = 0
    async with (
        await place.connect_async() as one,
        await place.connect_async() as other,
    ):
        began = perf_counter()

        async def drain(session: AsyncSession) -> None:
            nonlocal count
            while perf_counter() - began < within:
                cursor = await session.execute(_CLAIM, [WORKER, [QUEUE], _CLAIM_BATCH, LEASE])
                ids, tokens = await cursor.fetchone() or ("", "")
                if not ids:
                    return
                claimed.append(ids)
                await session.execute(_COMPLETE, [ids, tokens])
                count += tokens.count(",") + 1
                progress(count)

        await asyncio.gather(drain(one), drain(other))
        seconds = perf_counter() - began
    return Drained(list(_ids(claimed)), seconds)


def _ids(arrays: Sequence[str]) -> Iterator[UUID]:
    for array in arrays:
        yield from map(UUID, re.findall(r"[0-9a-f-]{36}", array))
