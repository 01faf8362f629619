"""How long a job waits for an idle worker, at a steady trickle."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from uuid import UUID

from rowqueue import Job, calls, client
from rowqueue.benchmark.drain import Progress, new_worker, until, working
from rowqueue.benchmark.names import JOB_TYPE, QUEUE
from rowqueue.benchmark.place import AsyncSession, Place

_PRODUCERS = 4
_FASTEST = 100.0
_SLOWEST = 5.0
_STRAGGLERS = 5.0


def sustainable_rate(enqueue_seconds: float) -> float:
    """Returns how many jobs a second the producers send with half of their time to spare."""
    return max(_SLOWEST, min(_FASTEST, _PRODUCERS / (2 * enqueue_seconds)))


async def pickups(
    place: Place, jobs: list[UUID], *, rate: float, seconds: float, progress: Progress
) -> tuple[list[float], list[UUID]]:
    """Sends jobs at a steady rate to a worker that has nothing else to do.

    It is an open loop: jobs are due at fixed times, and the wait of one that is sent late counts
    from when it was due. So a database that stalls shows, instead of getting a rest.

    Args:
        place: the database.
        jobs: takes the jobs that are made.
        rate: how many a second.
        seconds: for how long.
        progress: told each time how many were picked up.

    Returns:
        How many milliseconds each job took from when it was due to its handler, and the jobs that
        were run, once for each time.
    """
    count = round(rate * seconds)
    handled: list[UUID] = []
    waits: dict[int, float] = {}
    due: dict[int, float] = {}
    greeted, all_handled = asyncio.Event(), asyncio.Event()
    worker = new_worker(place)

    @worker.handler(JOB_TYPE)
    async def noop(job: Job) -> None:
        now, number = perf_counter(), job.payload["n"]
        handled.append(job.id)
        if number in due:
            waits.setdefault(number, 1000 * (now - due[number]))
            progress(len(waits))
        greeted.set()
        if len(waits) == count:
            all_handled.set()

    async with AsyncExitStack() as stack:
        producers = [
            await stack.enter_async_context(await place.connect_async()) for _ in range(_PRODUCERS)
        ]
        task = await stack.enter_async_context(working(worker))
        # The first call of a session costs more than any other.
        jobs.extend([await _send(producer, -1) for producer in producers])
        await until(greeted, task, within=_STRAGGLERS)

        numbers = iter(range(count))
        begins = perf_counter() + 0.1

        async def produce(session: AsyncSession) -> None:
            for number in numbers:
                due[number] = begins + number / rate
                if (early := due[number] - perf_counter()) > 0:
                    await asyncio.sleep(early)
                    due[number] = perf_counter()  # that the alarm rang late is nobody's wait
                jobs.append(await _send(session, number))

        await asyncio.gather(*map(produce, producers))
        await until(all_handled, task, within=_STRAGGLERS)
    return list(waits.values()), handled


async def _send(session: AsyncSession, number: int) -> UUID:
    return await client.run_async(
        session, calls.enqueue(JOB_TYPE, payload={"n": number}, queue=QUEUE)
    )
