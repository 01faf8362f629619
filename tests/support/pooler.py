"""PgBouncer between the tests and their server, in transaction mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from rowqueue.embedded import Account
from rowqueue.embedded.cluster import temporary_folder

# Ends the program when the pipe to it closes, in whatever way the process that holds it ends.
_LEASHED = '"$0" "$1" & read -r _; kill -TERM $!; wait $!'

_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"


def pgbouncer() -> str | None:
    """Returns the path of the program, None where there is none."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path=_PLACES)


class Pooler:
    """A PgBouncer in front of one server, for all its databases.

    Attributes:
        port: its port on 127.0.0.1.
    """

    def __init__(self, dsn: str, settings: Mapping[str, str | int] | None = None) -> None:
        """Describes it.

        Args:
            dsn: a superuser's connection string of the server, as a URL with a password. Other
                users are looked up there.
            settings: PgBouncer's own, beside those that a pooler in transaction mode needs.
        """
        program = pgbouncer()
        assert program is not None, "PgBouncer is not installed"
        self._program = program
        self._server = urlsplit(dsn)
        self._account = Account.for_server()
        self._folder = temporary_folder([], self._account)
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def through(self, dsn: str) -> str:
        """Returns a connection string of the server's, led through the pooler."""
        url = urlsplit(dsn)
        user = url.netloc.rpartition("@")[0]
        return url._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def start(self) -> None:
        """Starts it."""
        self._write("users.txt", f'"{self._server.username}" "{self._server.password}"\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self._folder / "users.txt",
            "auth_user": self._server.username,
            "pool_mode": "transaction",
            "max_client_conn": 1000,
            "default_pool_size": 20,
            "server_idle_timeout": 5,
            "ignore_startup_parameters": "extra_float_digits",
            **self._settings,
        }
        self._write(
            "pgbouncer.ini",
            f"[databases]\n* = host={self._server.hostname} port={self._server.port}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in settings.items()),
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASHED, self._program, self._folder / "pgbouncer.ini"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._account.popen(),
            )
        self._until_it_listens()

    def stop(self) -> None:
        """Stops it as a restart does: all clients lose their connections. Harmless twice."""
        if self._process is not None:
            self._process.communicate(timeout=30)
            self._process = None

    def remove(self) -> None:
        """Stops it and removes its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def _write(self, name: str, text: str) -> None:
        file = self._folder / name
        file.touch(0o600)
        os.chown(file, self._account.uid, self._account.gid)
        file.write_text(text)

    def _until_it_listens(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                said = (self._folder / "log").read_text()
                assert self._process.poll() is None, f"PgBouncer does not start:\n{said}"
                assert time.monotonic() < deadline, f"PgBouncer does not listen:\n{said}"
                time.sleep(0.01)
            else:
                return


@contextmanager
def own_pooler(dsn: str, settings: Mapping[str, str | int] | None = None) -> Iterator[Pooler]:
    """Yields a running pooler in front of a server."""
    pooler = Pooler(dsn, settings)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.remove()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
