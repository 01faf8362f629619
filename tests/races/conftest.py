"""Fixtures for races: sessions that can be left waiting, and a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from races.stage import Connect, OpenSession, Stage
from support.sessions import Session


@pytest.fixture
def session(db: psycopg.Connection[Any], connect: Connect) -> Iterator[OpenSession]:
    """Opens sessions whose statements can be left waiting."""
    with ExitStack() as sessions:

        def open_session() -> Session:
            session = Session(connect(), db)
            sessions.callback(session.close)
            return session

        yield open_session


@pytest.fixture
def stage(db: psycopg.Connection[Any], connect: Connect, session: OpenSession) -> Stage:
    """The test's database with a clock that stands still."""
    return Stage(db, connect, session)


@pytest.fixture
def prepared_transactions(db: psycopg.Connection[Any]) -> None:
    """Skips where the server has no prepared transactions."""
    if db.execute("show max_prepared_transactions").fetchone() == ("0",):
        pytest.skip("max_prepared_transactions is 0 on this server")


@pytest.fixture
def a(connect: Connect) -> psycopg.Connection[Any]:
    """A session that gives up rather than wait for a lock."""
    return connect(options="-c lock_timeout=1ms")


@pytest.fixture
def b(connect: Connect) -> psycopg.Connection[Any]:
    """Another one."""
    return connect(options="-c lock_timeout=1ms")
