"""Checks that the migrations lead to what ``sql/`` says.

1. A landed migration is as it was when it landed; at most the newest one has not landed.
2. Each file of ``sql/`` equals its newest copy in a migration.
3. A database that was migrated has the same schema as one that ``install.sql`` made, down to
   comments and grants, and the same rows in the tables that are filled by the installation.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
from frozen import landed, migrations, newest_copies, sources

from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres
from rowqueue.migrate import migrate

MOST_LINES = 60
_ROWS = re.compile(r"(?<= FROM stdin;\n)(?:(?!\\\.\n).*\n)+")


def changed_after_landing() -> Iterator[str]:
    """Yields what is wrong with the landed migrations."""
    digests = landed()
    by_name = {migration.path.name: migration for migration in migrations()}
    for name, digest in digests.items():
        if name not in by_name:
            yield f"migrations/{name} landed, and is gone"
        elif by_name[name].digest() != digest:
            yield f"migrations/{name} landed, and was changed since"
    for name in list(by_name)[:-1]:
        if name not in digests:
            yield f"migrations/{name} has not landed, though it is not the newest"


def stale_copies() -> Iterator[str]:
    """Yields the files of ``sql/`` that no migration brings into a database."""
    copies = newest_copies(migrations())
    for path, text in sources().items():
        if copies.get(path) != text:
            yield f"{path} is not what the migrations hold: run `make freeze NAME=…`"


def differences(pg_dump: Path, installed: str, migrated: str) -> Iterator[str]:
    """Yields the lines in which two databases differ."""
    yield from difflib.unified_diff(
        dump(pg_dump, installed), dump(pg_dump, migrated), "installed", "migrated", lineterm=""
    )


def dump(pg_dump: Path, dsn: str) -> list[str]:
    """Returns a fresh database as ``pg_dump`` writes it.

    What yoyo keeps is left out, and so are the marks of transactions, which are a server's own.
    The rows of a table are sorted: they lie in the order in which they came.
    """
    left_out = ["--exclude-table=rowqueue._yoyo_*", "--exclude-table-data=rowqueue.watermarks"]
    command = [str(pg_dump), *left_out, f"--dbname={dsn}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Newer versions frame a dump with a random word.
    frame = ("\\restrict ", "\\unrestrict ")
    in_order = _ROWS.sub(lambda rows: "".join(sorted(rows[0].splitlines(keepends=True))), text)
    return [line for line in in_order.splitlines() if not line.startswith(frame)]


def install(psql: Path, dsn: str) -> None:
    """Installs ``sql/install.sql`` as it stands, the way a DBA would."""
    command = [str(psql), "-qX1", f"--dbname={dsn}", "-f", str(schema.sql_folder() / "install.sql")]
    subprocess.run(command, check=True)


def two_databases(postgres: EmbeddedPostgres) -> tuple[str, str]:
    """Makes one database with ``install.sql``, one by migrating; returns their DSNs."""
    with psycopg.connect(postgres.dsn, autocommit=True) as session:
        session.execute("create database installed")
        session.execute("create database migrated")
    server = postgres.dsn.removesuffix("postgres")
    install(postgres.binaries / "psql", f"{server}installed")
    migrate(f"{server}migrated")
    return f"{server}installed", f"{server}migrated"


def main() -> int:
    """Prints every difference; returns 1 if there was one."""
    wrong = [*changed_after_landing(), *stale_copies()]
    with EmbeddedPostgres(prefer="installed", fsync=False) as postgres:
        pg_dump = postgres.binaries / "pg_dump"
        wrong += differences(pg_dump, *two_databases(postgres))
    print("\n".join(wrong[:MOST_LINES] or [f"{len(migrations())} migrations, as they should be"]))
    if len(wrong) > MOST_LINES:
        print(f"… and {len(wrong) - MOST_LINES} lines more")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
