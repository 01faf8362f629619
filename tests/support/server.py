"""The PostgreSQL server that the tests run on, and fresh databases on it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres

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
    options: str = ""
    template_dbname: str | None = None

    @classmethod
    def at(cls, dsn: str) -> Server:
        """Reads a connection string; what it leaves out, libpq's own variables say."""
        with psycopg.connect(dsn) as connection:
            info = connection.info
            return cls(info.host, info.port, info.user, info.password or None, info.dbname)

    def url(self, dbname: str) -> str:
        """Returns the connection string of one of its databases."""
        dbname = quote(dbname, safe="")
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        user = quote(self.user, safe="") + secret
        if self.host.startswith("/"):
            return f"postgresql://{user}@/{dbname}?host={quote(self.host)}&port={self.port}"
        return f"postgresql://{user}@{self.host}:{self.port}/{dbname}"


@contextmanager
def picked_server() -> Iterator[Server]:
    """Yields ``ROWQUEUE_TEST_DSN``'s server, or one of our own for this run.

    ``ROWQUEUE_TEST_PG`` picks the version of our own; else the installed one is taken, and
    where none is, the wheel's.
    """
    if dsn := os.environ.get("ROWQUEUE_TEST_DSN"):
        yield Server.at(dsn)
        return
    with EmbeddedPostgres(
        version=os.environ.get("ROWQUEUE_TEST_PG") or None,
        prefer="installed",
        temporary_in=fast_place(),
        settings=SETTINGS,
        fsync=False,
    ) as postgres:
        yield Server.at(postgres.dsn)


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
    def _build_create_database_sql(self) -> sql.Composed:
        """Copies files instead of logging each page: half the time where fsync is off."""
        return super()._build_create_database_sql() + sql.SQL(" strategy = file_copy")


@contextmanager
def fresh_database(template: NoopExecutor, *, empty: bool = False) -> Iterator[str]:
    """Yields the name of a new database: a copy of the template, or an empty one."""
    janitor = _Janitor(
        user=template.user,
        host=template.host,
        port=template.port,
        password=template.password,
        dbname=f"{template.dbname}_{next(_numbers)}",
        template_dbname=None if empty else template.template_dbname,
        maintenance_dbname=template.maintenance_dbname,
    )
    with janitor:
        yield janitor.dbname
        _end_prepared_transactions(janitor)


def _end_prepared_transactions(janitor: DatabaseJanitor) -> None:
    """A database with a prepared transaction can't be dropped."""
    with janitor.cursor() as cursor:
        cursor.execute("select gid from pg_prepared_xacts where database = %s", [janitor.dbname])
        left = [gid for (gid,) in cursor.fetchall()]
    if left:
        with janitor.cursor(janitor.dbname) as cursor:
            for gid in left:
                cursor.execute(sql.SQL("rollback prepared {}").format(gid))
