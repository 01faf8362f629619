"""What the drivers of rowqueue and of the baselines share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from bench.drivers.protocol import Payload, Send
from rowqueue.schema import render

_SCHEMA = Path(__file__).with_name("schema")


async def connect(dsn: str) -> psycopg.AsyncConnection[Any]:
    """Opens a session in autocommit that prepares whatever it runs."""
    session = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    session.prepare_threshold = 0
    return session


async def install_rowqueue(dsn: str) -> None:
    """Installs rowqueue's schema as it stands in ``sql/``."""
    await _run_script(dsn, render().encode())


async def run_schema(dsn: str, name: str) -> None:
    """Runs a file of ``drivers/schema``."""
    await _run_script(dsn, (_SCHEMA / name).read_bytes())


async def _run_script(dsn: str, script: bytes) -> None:
    async with await connect(dsn) as session:
        await session.execute(script, prepare=False)


@asynccontextmanager
async def inserting(dsn: str, query: LiteralString) -> AsyncIterator[Send]:
    """Opens a sender that passes a batch's payloads to one statement as a JSON array."""
    async with await connect(dsn) as session:

        async def send(payloads: list[Payload]) -> None:
            await session.execute(query, [Jsonb(payloads)])

        yield send
