"""`rowqueue.embedded`: a server of one's own, for everyone, that leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowqueue.embedded import (
    Account,
    EmbeddedError,
    EmbeddedPostgres,
)
from support.server import fast_place
from support.waiting import eventually


def ask(dsn: str, query: str) -> Any:
    """Returns the one value that a query yields."""
    with psycopg.connect(dsn) as session:
        row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def keep_something(postgres: EmbeddedPostgres) -> None:
    """Stores what a later start must find."""
    with psycopg.connect(postgres.dsn) as session:
        session.execute("create table kept as select 42 as answer")


def is_down(dsn: str) -> bool:
    """Whether no server answers any more."""
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return True
    return False


def postmaster(postgres: EmbeddedPostgres) -> int:
    """Returns the pid of the server."""
    return int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])


@pytest.fixture(autouse=True, scope="module")
def in_memory() -> Iterator[None]:
    """Where there is memory to spare, the clusters of this module are made in it."""
    with pytest.MonkeyPatch.context() as patch:
        if place := fast_place():
            patch.setenv("TMPDIR", str(place))
            patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    """A server as one gets it without asking for anything but one setting."""
    with EmbeddedPostgres(settings={"max_prepared_transactions": 7}) as postgres:
        yield postgres


def test_data_is_safe_unless_said_otherwise_and_settings_are_passed_on(
    running: EmbeddedPostgres,
) -> None:
    assert ask(running.dsn, "show fsync") == "on"
    assert ask(running.dsn, "show server_encoding") == "UTF8"
    assert ask(running.dsn, "show max_prepared_transactions") == "7"


def test_it_listens_on_loopback_alone_and_asks_for_the_password(running: EmbeddedPostgres) -> None:
    assert ask(running.dsn, "show listen_addresses") == "127.0.0.1"
    assert ask(running.dsn, "show unix_socket_directories") == ""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(running.dsn.replace(running.password, "guessed"), "select 1")


def test_the_server_runs_as_a_user_without_rights(running: EmbeddedPostgres) -> None:
    owner = (running.folder / "data" / "postmaster.pid").stat().st_uid
    assert owner == Account.for_server().uid != 0


@pytest.mark.parametrize("version", ["16", "18"])
def test_it_runs_the_programs_of_the_wheel_prints_nothing_and_leaves_nothing(
    version: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with EmbeddedPostgres(version=version, fsync=False) as postgres:
        assert ask(postgres.dsn, "show server_version_num")[:2] == version
        folder = postgres.folder
    assert is_down(postgres.dsn)
    assert not folder.exists()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def kept() -> Iterator[Path]:
    """A folder that the server's user can reach, unlike pytest's own."""
    parent = Path(tempfile.mkdtemp(prefix="rowqueue-test-", dir=fast_place() or "/var/tmp"))
    parent.chmod(0o711)
    yield parent / "kept"
    shutil.rmtree(parent)


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(kept: Path) -> None:
    with pytest.raises(EmbeddedError, match="unrecognized configuration parameter"):
        EmbeddedPostgres(temporary_in=kept.parent, settings={"no_such": 1}).start()
    assert list(kept.parent.iterdir()) == []


def test_a_kept_folder_keeps_its_data_its_password_and_its_version(kept: Path) -> None:
    with EmbeddedPostgres(kept, version="16", fsync=False) as first:
        keep_something(first)
    assert is_down(first.dsn)
    with EmbeddedPostgres(kept, fsync=False) as second:
        assert second.password == first.password
        assert second.binaries.version == "16"
        assert ask(second.dsn, "select answer from kept") == 42


def test_a_folder_serves_one_server_at_a_time(kept: Path) -> None:
    with EmbeddedPostgres(kept, fsync=False) as first:
        with pytest.raises(EmbeddedError, match="another server is running in"):
            EmbeddedPostgres(kept, timeout=0).start()
        assert ask(first.dsn, "select 1") == 1


def test_the_folder_of_a_dead_server_can_be_started_again(kept: Path) -> None:
    with EmbeddedPostgres(kept) as first:
        keep_something(first)
        os.kill(postmaster(first), signal.SIGKILL)
        eventually(lambda: is_down(first.dsn), what="the server to die")
    assert (kept / "data" / "postmaster.pid").exists()
    with EmbeddedPostgres(kept) as second:
        assert ask(second.dsn, "select answer from kept") == 42


STARTER = """
import sys
from rowqueue.embedded import EmbeddedPostgres
postgres = EmbeddedPostgres(sys.argv[1] or None, fsync=False).start()
print(postgres.dsn, postgres.folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, None])
def test_the_server_ends_with_its_starter_however_that_ends(how: signal.Signals | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        dsn, folder = starter.stdout.readline().split()
        assert ask(dsn, "select 1") == 1
        if how is None:
            starter.communicate()
        else:
            starter.send_signal(how)
            starter.wait()
    eventually(lambda: is_down(dsn), what="the server to stop")
    eventually(lambda: not Path(folder).exists(), what="the folder to be removed")


def test_a_kept_folder_is_free_again_once_a_killed_starters_server_has_stopped(kept: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, kept],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        starter.kill()
    with EmbeddedPostgres(kept, fsync=False) as second:
        assert ask(second.dsn, "select 1") == 1


AS_ORDINARY_USER = """
import os, sys
import psycopg
from rowqueue.embedded import Account, EmbeddedPostgres, find_binaries
account, found = Account.for_server(), find_binaries(prefer="installed")
os.environ["PATH"] = f"{found.folder}:{os.defpath}"
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(account.gid), os.setuid(account.uid)
with EmbeddedPostgres(version=found.version, prefer="installed", fsync=False) as postgres:
    with psycopg.connect(postgres.dsn) as session:
        print(session.execute("select 'served'").fetchone()[0], os.geteuid(), postgres.folder)
"""


def test_an_ordinary_user_runs_the_server_as_himself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_ORDINARY_USER], capture_output=True, text=True, check=True
    )
    said, user, folder = done.stdout.split()
    assert (said, int(user)) == ("served", Account.for_server().uid)
    assert not Path(folder).exists()
