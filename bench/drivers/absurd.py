"""Absurd's driver. The option ``workers``: how many workers a process has, a connection each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd
from absurdctl import BUNDLED_SCHEMA_SQL
from psycopg.types.json import Jsonb

from bench.drivers.protocol import Payload, Record, Send, Task, handle, main

_QUEUE = "bench"


async def setup(dsn: str) -> None:
    """Runs its SQL file and makes a queue."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
        await session.execute(BUNDLED_SCHEMA_SQL.encode())
        await AsyncAbsurd(session).create_queue(_QUEUE)


@asynccontextmanager
async def sender(dsn: str) -> AsyncIterator[Send]:
    """Opens a sender: `spawn` for a single task, the function beneath it for an array of them."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
        app = AsyncAbsurd(session, queue_name=_QUEUE)

        async def send(payloads: list[Payload]) -> None:
            if len(payloads) == 1:
                await app.spawn("noop", payloads[0], queue=_QUEUE)
            else:
                await session.execute(
                    "select absurd.spawn_task(%s, 'noop', p, '{\"max_attempts\": 5}')"
                    " from jsonb_array_elements(%s) as p",
                    [_QUEUE, Jsonb(payloads)],
                )

        yield send


async def work(task: Task, record: Record) -> None:
    """Runs several workers, as each completes its tasks one by one over its one connection."""
    count = min(task.options["workers"], task.concurrency)
    workers = [await _worker(task, record) for _ in range(count)]
    await task.begin()
    running = [
        asyncio.create_task(worker.start_worker(concurrency=task.concurrency // count))
        for worker in workers
    ]
    stopping = asyncio.create_task(task.stopped.wait())
    await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.stop_worker()
    await asyncio.gather(*running)
    for worker in workers:
        await worker.close()


async def _worker(task: Task, record: Record) -> AsyncAbsurd:
    app = AsyncAbsurd(task.dsn, queue_name=_QUEUE)

    async def noop(params: Any, context: Any) -> None:
        await handle(task, record, params)

    app.register_task("noop")(noop)
    await app.list_queues()  # connects
    return app


if __name__ == "__main__":
    main(setup=setup, sender=sender, work=work)
