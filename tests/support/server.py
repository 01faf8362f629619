"""The PostgreSQL server that the tests run on, and fresh databases on it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres, find_binaries
from support.pooler import Pooler, own_pooler

SETTINGS: dict[str, str | int] = {
    "max_connections": 200,
    "max_prepared_transactions": 20,
    "max_wal_size": "256MB",
}
_MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY = 4 << 30

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, in the form that pytest-postgresql's fixtures build upon."""

    host: str
    port: int
    user: str
    password: str | None
    maintenance_dbname: str
    session: psycopg.Connection[Any]
    options: str = ""
    template_dbname: str | None = None
    pooler: Pooler | None = None

    @classmethod
    @contextmanager
    def at(cls, dsn: str) -> Iterator[Server]:
        """Opens a session there; what the DSN leaves out, libpq's own variables say."""
        with psycopg.connect(dsn, autocommit=True) as session:
            info = session.info
            password = info.password or None
            yield cls(info.host, info.port, info.user, password, info.dbname, session)

    def url(self, dbname: str) -> str:
        """Returns the connection string of one of its databases, through the pooler if any."""
        dbname = quote(dbname, safe="")
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        user = quote(self.user, safe="") + secret
        if self.host.startswith("/"):
            return f"postgresql://{user}@/{dbname}?host={quote(self.host)}&port={self.port}"
        url = f"postgresql://{user}@{self.host}:{self.port}/{dbname}"
        return self.pooler.through(url) if self.pooler else url


@contextmanager
def picked_server() -> Iterator[Server]:
    """Yields ``ROWQUEUE_TEST_DSN``'s server, or one of our own for this run.

    ``ROWQUEUE_TEST_PG`` picks the version of our own; else the installed one is taken, and
    where none is, the wheel's. ``ROWQUEUE_TEST_POOLER`` puts PgBouncer before it.
    """
    if dsn := os.environ.get("ROWQUEUE_TEST_DSN"):
        with Server.at(dsn) as server:
            yield server
        return
    embedded = EmbeddedPostgres(
        version=own_version(),
        prefer="installed",
        temporary_in=fast_place(),
        settings=SETTINGS,
        fsync=False,
    )
    with embedded, Server.at(embedded.dsn) as server:
        if not pooled():
            yield server
            return
        with own_pooler(embedded.dsn) as pooler:
            yield replace(server, pooler=pooler)


def pooled() -> bool:
    """Whether the tests go through PgBouncer: ``ROWQUEUE_TEST_POOLER=1`` says so."""
    return bool(os.environ.get("ROWQUEUE_TEST_POOLER"))


def session_options() -> dict[str, Any]:
    """Returns how a test's own session is opened: a pooler of old keeps nothing prepared."""
    options = {"autocommit": True, "row_factory": namedtuple_row}
    return {**options, "prepare_threshold": None} if pooled() else options


def own_version() -> str:
    """Returns the version of a server of our own: see `picked_server`."""
    return os.environ.get("ROWQUEUE_TEST_PG") or find_binaries(prefer="installed").version


def fast_place() -> Path | None:
    """A file system in memory copies a template database seven times as fast as a disk."""
    there = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_MEMORY
    return _MEMORY if there else None


def install(**address: str | int | None) -> None:
    """Installs the schema: the template database of all tests."""
    address.pop("autocommit", None)
    with psycopg.connect(**address, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(schema.render().encode())


class _Janitor(DatabaseJanitor):
    """Clones a database in 30 ms instead of 100: a test's database is made and dropped often."""

    def __init__(self, server: Server, dbname: str, template_dbname: str | None) -> None:
        super().__init__(
            user=server.user,
            host=server.host,
            port=server.port,
            password=server.password,
            dbname=dbname,
            template_dbname=template_dbname,
            maintenance_dbname=server.maintenance_dbname,
        )
        self._session = server.session

    @contextmanager
    def cursor(self, dbname: str | None = None) -> Iterator[psycopg.Cursor[Any]]:
        """Uses the run's session instead of opening one."""
        with super().cursor(dbname) if dbname else self._session.cursor() as cursor:
            yield cursor

    def _build_create_database_sql(self) -> sql.Composed:
        """Copies files instead of logging each page, which is faster where fsync is off."""
        return super()._build_create_database_sql() + sql.SQL(" strategy = file_copy")

    def drop(self) -> None:
        """Drops the database, which can't be while it has prepared transactions."""
        with self.cursor() as cursor:
            query = "select gid from pg_prepared_xacts where database = %s"
            left = cursor.execute(query, [self.dbname]).fetchall()
        if left:
            with self.cursor(self.dbname) as cursor:
                for (gid,) in left:
                    cursor.execute(sql.SQL("rollback prepared {}").format(gid))
        super().drop()


@contextmanager
def fresh_database(server: Server, template: NoopExecutor, *, empty: bool = False) -> Iterator[str]:
    """Yields the name of a new database: a copy of the template, or an empty one."""
    name = f"{template.dbname}_{next(_numbers)}"
    with _Janitor(server, name, None if empty else template.template_dbname) as janitor:
        yield janitor.dbname
