"""The limit's driver: it only fills the table, and pgbench does the rest."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from bench.drivers.connect import inserting, run_schema
from bench.drivers.protocol import Send, main


async def setup(dsn: str) -> None:
    """Makes the narrow table."""
    await run_schema(dsn, "limit.sql")


def sender(dsn: str) -> AbstractAsyncContextManager[Send]:
    """Opens a sender: one insert a batch."""
    return inserting(
        dsn, "insert into least.jobs (payload) select p from jsonb_array_elements(%s) as p"
    )


if __name__ == "__main__":
    main(setup=setup, sender=sender)
