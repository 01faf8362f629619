"""A server that keeps its address while it is killed, started, copied and promoted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from rowqueue import schema
from rowqueue.embedded import Account, EmbeddedPostgres, find_binaries
from rowqueue.embedded.cluster import temporary_folder
from support.server import fast_place, own_version

Settings = Mapping[str, str | int]
Session = psycopg.Connection[Any]


class Node:
    """One server in a folder of its own; its port stays the same from start to start.

    Attributes:
        folder: where it keeps everything.
        settings: server settings, for its next start.
        version: its major version.
        url: its superuser's connection string, once it has been started.
    """

    def __init__(self, version: str, settings: Settings | None = None) -> None:
        """Describes it; `start` or `copy` makes its cluster."""
        account = Account.for_server()
        place = fast_place()
        self.folder = temporary_folder([place] if place else [], account)
        self.settings = dict(settings or {})
        self.version = version
        self.url = ""
        self._port: int | None = None
        self._postgres: EmbeddedPostgres | None = None

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The running server."""
        assert self._postgres is not None, f"the server in {self.folder} is not running"
        return self._postgres

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def connect(self, **options: Any) -> Session:
        """Opens a session in autocommit, whose rows have named columns."""
        options = {"autocommit": True, "row_factory": namedtuple_row, **options}
        return psycopg.connect(self.url, **options)

    def start(self) -> None:
        """Starts it, making its cluster if there is none."""
        postgres = EmbeddedPostgres(
            self.folder,
            version=self.version,
            prefer="installed",
            port=self._port,
            settings=self.settings,
        )
        self._postgres = postgres.start()
        self._port, self.url = postgres.port, postgres.dsn

    def stop(self) -> None:
        """Stops it in order. Harmless when it is stopped."""
        if self._postgres is not None:
            self._postgres.stop()
            self._postgres = None

    def kill(self) -> None:
        """Ends all its processes, as the loss of its machine does."""
        postmaster = self.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop()

    def remove(self) -> None:
        """Stops it and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def run(self, program: str, *args: str | Path, **options: Any) -> str:
        """Runs one of the server's programs as the server's user and returns what it says."""
        binaries = find_binaries(self.version, prefer="installed")
        done = subprocess.run(
            [binaries / program, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **{**Account.for_server().popen(), **options},
        )
        assert done.returncode == 0, f"{program} says: {done.stderr or done.stdout}"
        said: str = done.stdout
        return said

    def copy(self, primary: Node) -> None:
        """Becomes a standby of `primary`: takes a base backup of it, and starts."""
        account = Account.for_server()
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        os.chown(self.data, account.uid, account.gid)
        shutil.copy(primary.folder / "password", self.folder / "password")
        self.run(
            "pg_basebackup",
            f"--dbname={primary.url}",
            f"--pgdata={self.data}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )
        self.start()

    def promote(self) -> None:
        """Ends its time as a standby."""
        with self.connect() as session:
            assert session.execute("select pg_promote(wait_seconds => 30)").fetchone() == (True,)


@contextmanager
def own_node(
    *, version: str | None = None, settings: Settings | None = None, installed: bool = True
) -> Iterator[Node]:
    """Yields a running server for one test, with the schema in it unless told otherwise."""
    node = Node(version or own_version(), settings)
    try:
        node.start()
        if installed:
            install_on(node)
        yield node
    finally:
        node.remove()


def install_on(node: Node) -> None:
    """Installs the schema."""
    with node.connect() as session:
        session.execute(schema.render().encode())
