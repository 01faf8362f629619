"""Starts and stops a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rowqueue.embedded.account import Account
from rowqueue.embedded.binaries import Binaries, Source, find_binaries
from rowqueue.embedded.cluster import (
    SUPERUSER,
    kept_folder,
    make_cluster,
    take_lock,
    temporary_folder,
    version_in,
)
from rowqueue.embedded.errors import EmbeddedError
from rowqueue.embedded.watcher import Watcher

HOST = "127.0.0.1"
_PORT_ATTEMPTS = 5
_UNSAFE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """A PostgreSQL server: a context manager, or `start` and `stop`.

    It lives as long as the process that started it, at the most: see `Watcher`.

    Attributes, once started:
        folder: where it keeps its cluster, its log and its password.
        port: its port on 127.0.0.1.
        password: the password of the superuser ``postgres``.
        binaries: the programs in use; ``binaries / "psql"`` is a path.
    """

    folder: Path
    port: int
    password: str
    binaries: Binaries

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        temporary_in: Path | str | None = None,
        version: str | None = None,
        prefer: Source = "wheel",
        port: int | None = None,
        settings: Mapping[str, str | int] | None = None,
        fsync: bool = True,
        timeout: float = 60.0,
    ) -> None:
        """Describes a server; nothing is started yet.

        Args:
            folder: where the cluster is kept and found again; a temporary folder, removed at
                the end, if left out.
            temporary_in: where that temporary folder is made if the server's user can reach it,
                instead of the usual place.
            version: the major version, such as ``"16"``; that of the folder's cluster, or else
                the newest, if left out.
            prefer: whether the wheel's programs or installed ones come first.
            port: a fixed port; a free one if left out.
            settings: server settings, under their names in ``postgresql.conf``.
            fsync: false gives up the data's safety for speed: for tests.
            timeout: seconds until a server that doesn't come up is given up.
        """
        self._kept_in = Path(folder).absolute() if folder is not None else None
        self._temporary_in = [Path(temporary_in)] if temporary_in is not None else []
        self._version = version
        self._prefer: Source = prefer
        self._fixed_port = port
        self._settings = {**({} if fsync else _UNSAFE), **(settings or {})}
        self._timeout = timeout
        self._account = Account.for_server()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None
        self._lock: int | None = None

    @property
    def dsn(self) -> str:
        """The superuser's connection string."""
        return f"postgresql://{SUPERUSER}:{self.password}@{HOST}:{self.port}/postgres"

    def __enter__(self) -> Self:
        """Starts the server."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the server."""
        self.stop()

    def start(self) -> Self:
        """Starts the server, making its cluster first if there is none.

        Raises:
            EmbeddedUnavailable: there are no PostgreSQL programs to start.
            EmbeddedError: the server doesn't start; the message holds what it said.
        """
        if self._watcher is not None:
            raise EmbeddedError("this server is started already")
        version = self._version or (version_in(self._kept_in) if self._kept_in else None)
        self.binaries = find_binaries(version, prefer=self._prefer, account=self._account)
        if self._kept_in:
            self.folder = kept_folder(self._kept_in, self._account)
        else:
            self.folder = temporary_folder(self._temporary_in, self._account)
        self._watcher = Watcher(self.folder, temporary=self._kept_in is None)
        try:
            self._lock = take_lock(self.folder, within=self._timeout)
            if not (self.folder / "data").exists():
                make_cluster(self.folder, self.binaries, self._account)
            self.password = (self.folder / "password").read_text().strip()
            self._serve()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops the server and removes a temporary folder. Harmless when it is stopped."""
        if self._process is not None:
            self._end(signal.SIGINT)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._watcher is not None:
            self._watcher.dismiss()
            self._watcher = None
            if self._kept_in is None:
                shutil.rmtree(self.folder)

    def log(self) -> str:
        """Returns what the server wrote to its log."""
        return (self.folder / "server.log").read_text(errors="replace")

    def _serve(self) -> None:
        """Starts the server; on another free port, if the one just found is taken by then."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = self._fixed_port or _free_port()
            log = self.folder / "server.log"
            said_before = log.stat().st_size if log.exists() else 0
            self._launch(log)
            if self._comes_up():
                return
            self._end(signal.SIGQUIT)
            said = log.read_bytes()[said_before:].decode(errors="replace").strip()
            taken = "Address already in use" in said and self._fixed_port is None
            if not taken or attempt == _PORT_ATTEMPTS:
                raise EmbeddedError(f"PostgreSQL in {self.folder} does not start:\n{said}")

    def _launch(self, log: Path) -> None:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        assert self._lock is not None
        assert self._watcher is not None
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.folder / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[self._lock],
                **self._account.popen(),
            )
        self._watcher.watch(self._process.pid)

    def _comes_up(self) -> bool:
        """Waits until the server accepts connections, or ends, or takes too long."""
        assert self._process is not None
        deadline = time.monotonic() + self._timeout
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._is_ready(self._process.pid):
                return True
            time.sleep(0.01)
        return False

    def _is_ready(self, pid: int) -> bool:
        """Whether the server's pid file says so, which is what pg_ctl goes by too."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _end(self, how: signal.Signals) -> None:
        """Stops the server: as asked, and by force when that takes more than half a minute."""
        assert self._process is not None
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
