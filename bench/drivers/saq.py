"""SAQ's driver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg_pool import AsyncConnectionPool
from saq import Worker
from saq.queue.postgres import PostgresQueue

from bench.drivers.protocol import Payload, Record, Send, Task, handle, main

_AT_ONCE = 20


async def setup(dsn: str) -> None:
    """Makes its tables."""
    async with _connected(dsn, 1):
        pass


@asynccontextmanager
async def sender(dsn: str) -> AsyncIterator[Send]:
    """Opens a sender. Every job is a transaction of its own, for there is no bulk insert."""
    async with _connected(dsn, _AT_ONCE) as queue:

        async def send(payloads: list[Payload]) -> None:
            waiting = iter(payloads)

            async def lane() -> None:
                for payload in waiting:
                    await queue.enqueue("noop", payload=payload)

            await asyncio.gather(*(lane() for _ in range(min(_AT_ONCE, len(payloads)))))

        yield send


async def work(task: Task, record: Record) -> None:
    """Runs one worker."""

    async def noop(context: Any, *, payload: Payload) -> None:
        await handle(task, record, payload)

    async with _connected(task.dsn, task.concurrency) as queue:
        worker = Worker(
            queue,
            [("noop", noop)],
            concurrency=task.concurrency,
            dequeue_timeout=1,
            shutdown_grace_period_s=2,
        )
        worker.SIGNALS = []
        await task.begin()
        running = asyncio.create_task(worker.start())
        stopping = asyncio.create_task(task.stopped.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await worker.stop()
        await running


@asynccontextmanager
async def _connected(dsn: str, connections: int) -> AsyncIterator[PostgresQueue]:
    """Opens a queue over a pool of ours, which does not check a connection at each use."""
    async with AsyncConnectionPool(dsn, min_size=1, max_size=connections, open=False) as pool:
        queue = PostgresQueue(pool)
        await queue.connect()
        try:
            yield queue
        finally:
            await queue.disconnect()


if __name__ == "__main__":
    logging.getLogger("saq").setLevel(logging.ERROR)
    main(setup=setup, sender=sender, work=work)
