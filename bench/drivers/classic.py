"""The classic table's driver: claim a batch, run its handlers, complete it, all in one session."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress

from bench.drivers.connect import connect, inserting, run_schema
from bench.drivers.protocol import Payload, Record, Send, Task, handle, main

_POLL = 0.1


async def setup(dsn: str) -> None:
    """Makes the table."""
    await run_schema(dsn, "classic.sql")


def sender(dsn: str) -> AbstractAsyncContextManager[Send]:
    """Opens a sender: one insert a batch."""
    return inserting(
        dsn,
        "insert into classic.jobs (job_type, payload)"
        " select 'noop', p from jsonb_array_elements(%s) as p",
    )


async def work(task: Task, record: Record) -> None:
    """Claims and completes in batches, and polls while there is nothing to do."""
    async with await connect(task.dsn) as session:
        await task.begin()
        while not task.stopped.is_set():
            claimed = await session.execute(
                """
                update classic.jobs
                set status = 'running', attempts = attempts + 1, started_at = now()
                where id in (
                    select id from classic.jobs where status = 'pending' and run_after <= now()
                    order by priority desc, created_at limit %s for update skip locked)
                returning id, payload
                """,
                [task.options["batch"]],
            )
            jobs = await claimed.fetchall()
            if not jobs:
                with suppress(TimeoutError):
                    await asyncio.wait_for(task.stopped.wait(), _POLL)
                continue
            await _handle_all(task, record, [payload for _, payload in jobs])
            await session.execute(
                "update classic.jobs set status = 'completed', completed_at = now()"
                " where id = any(%s) and status = 'running'",
                [[identity for identity, _ in jobs]],
            )


async def _handle_all(task: Task, record: Record, payloads: list[Payload]) -> None:
    """Runs the handlers, as many at once as the task says."""
    waiting = iter(payloads)

    async def lane() -> None:
        for payload in waiting:
            await handle(task, record, payload)

    await asyncio.gather(*(lane() for _ in range(min(task.concurrency, len(payloads)))))


if __name__ == "__main__":
    main(setup=setup, sender=sender, work=work)
