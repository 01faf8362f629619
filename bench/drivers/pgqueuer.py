"""PgQueuer's driver. The option ``driver`` says whether the worker runs on asyncpg or psycopg."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import psycopg
import uvloop
from pgqueuer import AsyncpgPoolDriver, PsycopgDriver, Queries, QueueManager
from pgqueuer.models import Job
from psycopg.conninfo import conninfo_to_dict

from bench.drivers.protocol import Payload, Record, Send, Task, handle, main


async def setup(dsn: str) -> None:
    """Installs its schema, with the autovacuum settings that it recommends."""
    async with _asyncpg(dsn, 1) as queries:
        await queries.install()
        await queries.optimize_autovacuum()


@asynccontextmanager
async def sender(dsn: str) -> AsyncIterator[Send]:
    """Opens a sender: plain values for a single job, arrays for more."""
    async with _asyncpg(dsn, 1) as queries:

        async def send(payloads: list[Payload]) -> None:
            encoded = [json.dumps(payload).encode() for payload in payloads]
            if len(encoded) == 1:
                await queries.enqueue("noop", encoded[0])
            else:
                await queries.enqueue(["noop"] * len(encoded), encoded, [0] * len(encoded))

        yield send


async def work(task: Task, record: Record) -> None:
    """Runs one queue manager.

    It has no limit to its handlers but one in the claim, which must be at least two batches and
    makes claims slower: it is set only where handlers take time.
    """
    batch, limit = task.options["batch"], None
    if task.seconds:
        limit = max(task.concurrency, 2)
        batch = min(batch, limit // 2)
    open_queries = {"asyncpg": _asyncpg, "psycopg": _psycopg}[task.options["driver"]]
    async with open_queries(task.dsn) as queries:
        manager = QueueManager(queries)

        async def noop(job: Job) -> None:
            await handle(task, record, json.loads(job.payload))

        manager.entrypoint("noop")(noop)
        await task.begin()
        running = asyncio.create_task(
            manager.run(
                batch_size=batch,
                max_concurrent_tasks=limit,
                dequeue_timeout=timedelta(seconds=2),
            )
        )
        stopping = asyncio.create_task(task.stopped.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        manager.shutdown.set()
        await running


@asynccontextmanager
async def _asyncpg(dsn: str, connections: int = 4) -> AsyncIterator[Queries]:
    """Opens a pool, so that claims and completions need not wait for each other."""
    parts = conninfo_to_dict(dsn)
    async with asyncpg.create_pool(
        host=parts["host"],
        port=parts["port"],
        user=parts["user"],
        password=parts.get("password"),
        database=parts["dbname"],
        min_size=connections,
        max_size=connections,
    ) as pool:
        yield Queries(AsyncpgPoolDriver(pool))


@asynccontextmanager
async def _psycopg(dsn: str) -> AsyncIterator[Queries]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield Queries(PsycopgDriver(connection))


if __name__ == "__main__":
    uvloop.install()
    main(setup=setup, sender=sender, work=work)
