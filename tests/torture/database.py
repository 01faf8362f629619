"""The server under torture: it is crashed, and started again over the same cluster and port."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rowqueue.embedded import EmbeddedPostgres
from rowqueue.embedded.account import Account

SETTINGS: dict[str, str | int] = {
    # What a SIGKILL can do, unlike a power failure: tear a page between two writes. Files that
    # were written survive it without fsync.
    "fsync": "off",
    "max_connections": 150,
    "max_wal_size": "1GB",
    "shared_buffers": "256MB",
    "checkpoint_timeout": "30s",
    "deadlock_timeout": "100ms",
    "log_checkpoints": "off",
    "idle_in_transaction_session_timeout": "20s",
}

_CLOCKS = (
    "usr/lib/*/faketime/libfaketime.so.1",
    "usr/lib/faketime/libfaketime.so.1",
    "usr/lib64/faketime/libfaketime.so.1",
)


def clock_library() -> Path | None:
    """Returns libfaketime, which lets a test move the server's clock; None where it is not."""
    found = (file for pattern in _CLOCKS for file in Path("/").glob(pattern))
    return next(found, None)


@dataclass(frozen=True, slots=True)
class _ClockedAccount(Account):
    """A user whose processes live by the clock in a file."""

    library: str = ""
    file: str = ""

    def popen(self) -> dict[str, Any]:
        options = Account.popen(self)
        options["env"] |= {
            "LD_PRELOAD": self.library,
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return options


class _Clocked(EmbeddedPostgres):
    """A server whose clock can be moved."""

    def __init__(self, folder: Path, library: Path, file: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        own = self._account
        self._account = _ClockedAccount(own.uid, own.gid, own.name, str(library), str(file))


class Database:
    """A cluster that outlives its servers: whoever crashes one starts the next."""

    def __init__(self, folder: Path, version: str | None, *, clock: bool) -> None:
        """Starts nothing yet.

        Args:
            folder: where the cluster is made.
            version: the major version; an installed one if left out.
            clock: whether its clock will be moved, which needs libfaketime.
        """
        self._folder = folder
        self._version = version
        self._clock_file = folder.parent / "clock" if clock else None
        self._server: EmbeddedPostgres | None = None
        self._port: int | None = None
        self.offset = timedelta()

    @property
    def server(self) -> EmbeddedPostgres:
        """The server that runs."""
        assert self._server is not None, "the database is not started"
        return self._server

    @property
    def dsn(self) -> str:
        """The superuser's connection string."""
        return f"{self.server.dsn}?sslmode=disable&gssencmode=disable&connect_timeout=5"

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1, the same for all its servers."""
        return self.server.port

    def start(self) -> None:
        """Starts a server, over the cluster that the last one left."""
        options: Mapping[str, Any] = {
            "version": self._version,
            "prefer": "installed",
            "port": self._port,
            "settings": SETTINGS,
        }
        if self._clock_file is None:
            self._server = EmbeddedPostgres(self._folder, **options)
        else:
            self.move_clock(self.offset)
            library = clock_library()
            assert library is not None, "libfaketime is not installed"
            self._server = _Clocked(self._folder, library, self._clock_file, **options)
        self._server.start()
        self._port = self._server.port

    def stop(self) -> None:
        """Stops the server."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def crash_immediately(self) -> None:
        """Ends the server as ``pg_ctl stop -m immediate`` does, and starts the next one."""
        subprocess.run(
            [
                *(self.server.binaries / "pg_ctl", "stop", "-m", "immediate", "-t", "60"),
                *("-D", self._folder / "data"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            **self.server._account.popen(),
        )
        self._start_again()

    def kill_postmaster(self) -> None:
        """Kills the postmaster, whose children then end by themselves, and starts the next one."""
        os.kill(self._postmaster(), signal.SIGKILL)
        self._start_again()

    def kill_backend(self, pid: int) -> None:
        """Kills a backend, if it is still there: the postmaster ends all others and recovers."""
        if pid in _children_of(self._postmaster()):
            os.kill(pid, signal.SIGKILL)

    def move_clock(self, offset: timedelta) -> None:
        """Sets how far the server's clock is ahead of the real one, or behind it."""
        assert self._clock_file is not None, "this server's clock cannot be moved"
        self.offset = offset
        fresh = self._clock_file.with_suffix(".new")
        fresh.write_text(f"{offset.total_seconds():+.0f}\n")
        fresh.chmod(0o644)
        fresh.rename(self._clock_file)

    def _start_again(self) -> None:
        self.server.stop()
        self.start()

    def _postmaster(self) -> int:
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])


def _children_of(parent: int) -> set[int]:
    """Returns the processes of this parent: a pid read a moment ago may be somebody else's now."""
    tasks = Path(f"/proc/{parent}/task/{parent}/children")
    return {int(pid) for pid in tasks.read_text().split()}
