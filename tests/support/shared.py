"""Fixtures of the tests that speak SQL: a clock, and a database that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from support.calls import Session
from support.clock import Clock, own_clock
from support.server import Server, fresh_database, session_options


@pytest.fixture(scope="module")
def shared_dsn(server: Server, template: NoopExecutor) -> Iterator[str]:
    """The connection string of a database for a whole module: for many small cases."""
    with fresh_database(server, template) as dbname:
        yield server.url(dbname)


@pytest.fixture(scope="module")
def shared_db(shared_dsn: str) -> Iterator[Session]:
    """A session on the module's database, in autocommit, whose rows have named columns."""
    with psycopg.connect(shared_dsn, **session_options()) as session:
        yield session


@pytest.fixture(scope="module")
def shared_clock(shared_db: Session) -> Clock:
    """The clock of the module's database."""
    return own_clock(shared_db)


@pytest.fixture
def tx(shared_db: Session, shared_clock: Clock) -> Iterator[Session]:
    """The module's session, in a transaction that is rolled back when the test ends.

    For tests that need one session only: it costs a hundredth of a database of their own.
    """
    with shared_db.transaction(force_rollback=True):
        yield shared_db


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The clock of the database that the test uses."""
    if "db" in request.fixturenames:
        return own_clock(request.getfixturevalue("db"))
    clock: Clock = request.getfixturevalue("shared_clock")
    return clock
