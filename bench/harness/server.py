"""The measurement's own PostgreSQL: its settings, its databases, and what is to be said of it."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.harness.driver import set_up
from bench.harness.install import TOP
from bench.harness.system import System
from rowqueue.embedded import EmbeddedPostgres

SETTINGS: Mapping[str, str | int] = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "max_connections": 300,
}
"""Beyond these the server is as initdb leaves it: fsync, synchronous_commit, autovacuum are on."""

_REPORTED = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "wal_level")


class Server:
    """A PostgreSQL server of the harness's own, and a template database for each system."""

    def __init__(
        self,
        version: str | None = None,
        settings: Mapping[str, str | int] | None = None,
        *,
        rest: float = 0.5,
    ) -> None:
        """Describes it; ``with`` starts it.

        Args:
            version: the major version; the newest installed if left out.
            settings: beyond `SETTINGS`.
            rest: seconds of quiet before a measurement.
        """
        self._settings = {**SETTINGS, **(settings or {})}
        self._postgres = EmbeddedPostgres(
            version=version, prefer="installed", settings=self._settings
        )
        self._rest = rest
        self._templates: set[str] = set()
        self._made = 0

    def __enter__(self) -> Self:
        """Starts it."""
        self._postgres.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops it and removes its folder."""
        self._postgres.stop()

    @property
    def version(self) -> str:
        """The major version."""
        return self._postgres.binaries.version

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        with (self._postgres.folder / "data" / "postmaster.pid").open() as file:
            return int(file.readline())

    def program(self, name: str) -> str:
        """Returns the path of one of its programs, such as ``pgbench``."""
        return str(self._postgres.binaries / name)

    def dsn(self, dbname: str = "postgres") -> str:
        """Returns the superuser's connection string for a database."""
        return make_conninfo(self._postgres.dsn, dbname=dbname)

    def connect(self, dsn: str | None = None) -> psycopg.Connection[Any]:
        """Opens a session in autocommit."""
        return psycopg.connect(dsn or self.dsn(), autocommit=True)

    @contextmanager
    def database(self, system: System) -> Iterator[str]:
        """Makes a fresh database with a system's schema in it, and drops it at the end.

        Yields:
            Its connection string.
        """
        template = f"template_{system.name}"
        if template not in self._templates:
            self._create(template)
            try:
                set_up(system, self.dsn(template))
            except BaseException:
                self._drop(template)
                raise
            self._templates.add(template)
        self._made += 1
        name = f"{system.name}_{self._made}"
        self._create(name, template)
        try:
            yield self.dsn(name)
        finally:
            self._drop(name)

    def settle(self, dsn: str) -> None:
        """Brings a filled database to rest: statistics, no dirty pages, no autovacuum at work."""
        with self.connect(dsn) as session:
            session.execute("vacuum analyze")
            session.execute("checkpoint")
        time.sleep(self._rest)

    def facts(self) -> dict[str, Any]:
        """Returns what must be known of the server and the machine to judge a figure."""
        with self.connect() as session:
            names = ("server_version", *_REPORTED, *self._settings)
            settings = {name: _scalar(session, f"show {name}") for name in names}
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "postgres": settings.pop("server_version"),
            "settings": settings,
            "cores": os.cpu_count(),
            "machine": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        }

    def _create(self, name: str, template: str = "template0") -> None:
        command = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with self.connect() as session:
            session.execute(command)

    def _drop(self, name: str) -> None:
        with self.connect() as session:
            session.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _scalar(session: psycopg.Connection[Any], query: str) -> Any:
    row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _commit() -> str:
    """Returns the checkout's commit, with a + where files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", TOP, *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    differs = git("status", "--porcelain", "--", "sql", "migrations", "python", "bench/*.py")
    return git("rev-parse", "--short", "HEAD") + ("+" if differs else "")
