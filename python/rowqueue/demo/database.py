"""The database that a demo runs in: the one that is given, or a server of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowqueue.embedded import EmbeddedError, EmbeddedPostgres


@dataclass(frozen=True, slots=True)
class Database:
    """Where a demo runs.

    Attributes:
        dsn: how to get there.
        shown: the same for people: without the password, where somebody gave us one.
        own: whether the demo started it.
        pid: the process that ends with it, where it stays.
    """

    dsn: str
    shown: str
    own: bool
    pid: int | None = None


@contextmanager
def open_database(dsn: str | None, folder: Path, *, keep: bool) -> Iterator[Database]:
    """Yields the database given, or a new one.

    Args:
        dsn: the database given.
        folder: where a server of our own has its data, if it is to stay.
        keep: whether it is to stay, once all has gone well.
    """
    if dsn is not None:
        known = {name: v for name, v in conninfo_to_dict(dsn).items() if name != "password"}
        yield Database(dsn, make_conninfo("", **known), own=False)
    elif not keep:
        with EmbeddedPostgres() as postgres:
            yield Database(postgres.dsn, postgres.dsn, own=True)
    else:
        log = folder.with_name("server.log")
        server = _start_dev(folder, log)
        try:
            found = _dsn_of(server, log)
            yield Database(found, found, own=True, pid=server.pid)
        except BaseException:
            server.terminate()
            server.wait()
            raise


def _start_dev(folder: Path, log: Path) -> subprocess.Popen[str]:
    """Starts a server that outlives this process: ``rowqueue dev``."""
    with log.open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "rowqueue", "dev", "--data", str(folder), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )


def _dsn_of(server: subprocess.Popen[str], log: Path) -> str:
    assert server.stdout is not None
    with server.stdout as answer:
        said = answer.readline()
    if not said:
        server.wait()
        raise EmbeddedError(f"there is no server to be kept: {log.read_text().strip()}")
    dsn: str = json.loads(said)["dsn"]
    return dsn
