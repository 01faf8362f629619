"""The bare table's driver: it only makes the table, and pgbench does the rest."""

from __future__ import annotations

from bench.drivers.connect import install_rowqueue, run_schema
from bench.drivers.protocol import main


async def setup(dsn: str) -> None:
    """Makes copies of rowqueue's table of live jobs."""
    await install_rowqueue(dsn)
    await run_schema(dsn, "bare.sql")


if __name__ == "__main__":
    main(setup=setup)
