"""The fixtures of all tests: one server for the run, a fresh database for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.factories import postgresql_noproc

from rowqueue.embedded import Binaries, find_binaries
from support.direct import leave_out_what_needs_the_server
from support.server import (
    Server,
    fresh_database,
    install,
    picked_server,
    pooled,
    session_options,
)

Connect = Callable[..., psycopg.Connection[Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out, where the tests go through a pooler, what can't."""
    if pooled():
        leave_out_what_needs_the_server(items)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server of this run."""
    with picked_server() as server:
        yield server


template = postgresql_noproc(
    depends_on="server",
    dbname=f"rowqueue_test_{os.getpid()}",
    load=[install],
)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """``binaries / "psql"`` and ``binaries / "pg_dump"``: the newest, which serve every server."""
    return find_binaries()


@pytest.fixture
def dsn(server: Server, template: NoopExecutor) -> Iterator[str]:
    """The connection string of a fresh database with the schema in it."""
    with fresh_database(server, template) as dbname:
        yield server.url(dbname)


@pytest.fixture
def empty_dsn(server: Server, template: NoopExecutor) -> Iterator[str]:
    """The connection string of a fresh database without the schema."""
    with fresh_database(server, template, empty=True) as dbname:
        yield server.url(dbname)


@pytest.fixture
def connect(dsn: str) -> Iterator[Connect]:
    """Opens further sessions on the test's database: ``connect(autocommit=False)``."""
    with ExitStack() as sessions:

        def open_session(**options: Any) -> psycopg.Connection[Any]:
            session = psycopg.connect(dsn, **{**session_options(), **options})
            sessions.callback(session.close)
            return session

        yield open_session


@pytest.fixture
def db(connect: Connect) -> psycopg.Connection[Any]:
    """A session on the test's database, in autocommit, whose rows have named columns."""
    return connect()
