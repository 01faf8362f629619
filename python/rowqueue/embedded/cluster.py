"""The folder of a server: ``data`` (the cluster), ``password``, ``server.log`` and ``lock``.

The folder stays this process's own, and only ``data`` is the server's: so a server that runs
as another user has no say in where this process reads and writes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rowqueue.embedded.account import Account
from rowqueue.embedded.binaries import Binaries
from rowqueue.embedded.errors import EmbeddedError

SUPERUSER = "postgres"


def dev_folder() -> Path:
    """Returns where a database that is kept lives unless the user says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/rowqueue")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "rowqueue"


def version_in(folder: Path) -> str | None:
    """Returns the major version of the cluster in a folder, None if there is none."""
    try:
        return (folder / "data" / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return None


def temporary_folder(parents: Sequence[Path], account: Account) -> Path:
    """Makes a folder in the first place that the server's user reaches."""
    for parent in (*parents, Path(tempfile.gettempdir()), Path("/var/tmp")):
        if account.can_run("test", "-x", parent):
            folder = Path(tempfile.mkdtemp(prefix="rowqueue-", dir=parent))
            folder.chmod(_mode(account))
            return folder
    raise EmbeddedError(
        f"user {account.name}, whom the server runs as, cannot reach {tempfile.gettempdir()}"
    )


def kept_folder(folder: Path, account: Account) -> Path:
    """Makes a folder where the user wants it, or takes the one that is there."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(_mode(account))
    if folder.stat().st_uid != os.geteuid():
        raise EmbeddedError(f"{folder} belongs to another user")
    if not account.can_run("test", "-x", folder):
        raise EmbeddedError(
            f"user {account.name}, whom the server runs as, cannot reach {folder}; "
            "choose a folder outside of private homes"
        )
    return folder


def _mode(account: Account) -> int:
    return 0o711 if account.is_other else 0o700


def take_lock(folder: Path, *, within: float) -> int:
    """Locks a folder and returns the lock's file descriptor.

    A server inherits the lock, so that it lasts until the last server process has ended, even
    where the starting process was killed.
    """
    lock = os.open(folder / "lock", os.O_RDONLY | os.O_CREAT, 0o600)
    deadline = time.monotonic() + within
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise EmbeddedError(f"another server is running in {folder}") from None
            time.sleep(0.05)
        else:
            return lock


def make_cluster(folder: Path, binaries: Binaries, account: Account) -> None:
    """Runs initdb, under another name than ``data``, lest a killed run is taken for done."""
    password = folder / "password"
    password.unlink(missing_ok=True)
    descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchown(descriptor, account.uid, account.gid)
        file.write(secrets.token_urlsafe(18) + "\n")
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    os.chown(fresh, account.uid, account.gid)
    done = subprocess.run(
        [
            *(binaries / "initdb", "-D", fresh, "-U", SUPERUSER, f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            *("--no-sync", "--no-instructions"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **account.popen(),
    )
    if done.returncode != 0:
        raise EmbeddedError(f"initdb failed in {folder}:\n{done.stdout.strip()}")
    fresh.rename(folder / "data")
