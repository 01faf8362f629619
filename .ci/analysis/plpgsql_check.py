"""plpgsql_check: what is wrong in a function's body, whether or not a test runs through it.

The extension is a library and a script. Neither is installed: the library is loaded from where
the package was unpacked, so that it needs no root, and no more than apt-get to be had.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from analysis.findings import Finding, Unavailable
from analysis.toolbox import Toolbox
from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres, EmbeddedUnavailable

_CHECK = """
    select p.proname, c.level, c.message, c.detail
    from pg_proc as p
    join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
    left join pg_trigger as t on t.tgfoid = p.oid
    cross join lateral check_tools.plpgsql_check_function_tb(
        p.oid, coalesce(t.tgrelid, 0), fatal_errors => false, other_warnings => true,
        performance_warnings => true, extra_warnings => true, security_warnings => true,
        compatibility_warnings => true, oldtable => t.tgoldtable, newtable => t.tgnewtable) as c
    where p.pronamespace = 'rowqueue'::regnamespace
    order by p.proname, c.lineno, c.message"""


def findings(tools: Toolbox) -> Iterator[Finding]:
    """Yields them, each with its function.

    Raises:
        Unavailable: no PostgreSQL is installed, or Debian's package for it cannot be had.
    """
    try:
        server = EmbeddedPostgres(prefer="installed", fsync=False)
        with server:
            unpacked = _unpacked(tools.folder, server.binaries.version)
            with psycopg.connect(server.dsn, autocommit=True) as session:
                session.execute(schema.render().encode())
                _load(session, unpacked)
                for function, level, message, detail in session.execute(_CHECK):
                    about = f" ({detail})" if detail else ""
                    yield Finding(function, f"{level}: {message}{about}")
    except EmbeddedUnavailable as error:
        raise Unavailable(str(error)) from error


def _unpacked(folder: Path, version: str) -> Path:
    """Returns the folder with the package's files, which the server's user can read."""
    package = f"postgresql-{version}-plpgsql-check"
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(f"{package} comes with apt-get and dpkg-deb, which are not here")
    place = folder / package
    unpacked = place / "unpacked"
    if not unpacked.exists():
        # With lists of its own: those of the machine are root's, and may be empty.
        for part in ("lists/partial", "cache/archives/partial"):
            (place / part).mkdir(parents=True, exist_ok=True)
        own = [f"Dir::State::lists={place}/lists", f"Dir::Cache={place}/cache"]
        apt = ["apt-get", "--quiet", *(word for option in own for word in ("-o", option))]
        _run([*apt, "update"], place)
        try:
            _run([*apt, "download", package], place)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"{package}: {error.stderr.strip()}") from error
        (deb,) = place.glob("*.deb")
        _run(["dpkg-deb", "--extract", str(deb), str(unpacked)], place)
    for path in (folder, place, unpacked, *unpacked.rglob("*")):
        path.chmod(0o755)
    return unpacked


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def _load(session: psycopg.Connection, unpacked: Path) -> None:
    """Does what ``create extension`` would, from where the files are."""
    (library,) = unpacked.rglob("plpgsql_check.so")
    (script,) = unpacked.rglob("plpgsql_check--*.sql")
    text = re.sub(r"^\\.*$", "", script.read_text(), flags=re.MULTILINE)
    text = text.replace("MODULE_PATHNAME", str(library)).replace("@extschema@", "check_tools")
    session.execute("create schema check_tools; set search_path = check_tools, pg_catalog")
    session.execute(sql.SQL(text))
    session.execute("reset search_path")
