"""Migrations as frozen copies of ``sql/``: how they are written, and how they are read.

A migration holds, in this order: yoyo's directives; what was written by hand; the line
`COPIES`; and then, each below a line ``-- sql/PATH``, the files of ``sql/`` that had changed.

``migrations/DIGESTS`` lists the landed migrations in the form of ``sha256sum``. A migration
lands when `make land` writes it there; only the newest one may be missing, and only that one
is written anew by ``make freeze``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rowqueue import schema

COPIES = "-- Copies of sql/ as it stood, written by `make freeze`."
_MARKER = re.compile(r"^-- (sql/\S+\.sql)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Frozen:
    """One migration file."""

    path: Path

    @property
    def name(self) -> str:
        """The name that yoyo knows it by."""
        return self.path.stem

    @property
    def number(self) -> int:
        """Its place in the order."""
        return int(self.name.split(".")[0])

    def by_hand(self) -> str:
        """Returns all that stands above the copies."""
        return self.path.read_text(encoding="utf-8").partition(f"{COPIES}\n")[0]

    def copies(self) -> dict[str, str]:
        """Returns the copied files: path to content."""
        _, *parts = _MARKER.split(self.path.read_text(encoding="utf-8"))
        return dict(zip(parts[::2], (part.rstrip("\n") for part in parts[1::2]), strict=True))

    def digest(self) -> str:
        """Returns the SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def migrations() -> list[Frozen]:
    """Returns all migrations in order."""
    return [Frozen(path) for path in sorted(schema.migrations_folder().glob("*.sql"))]


def landed() -> dict[str, str]:
    """Returns the landed migrations: file name to SHA-256."""
    digests = digests_file()
    if not digests.exists():
        return {}
    lines = (line.split() for line in digests.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in lines}


def digests_file() -> Path:
    """Returns where the digests of landed migrations stand."""
    return schema.migrations_folder() / "DIGESTS"


def sources() -> dict[str, str]:
    """Returns the files that ``install.sql`` includes, in its order: path to content."""
    top = schema.sql_folder().parent
    return {
        file.relative_to(top).as_posix(): file.read_text(encoding="utf-8").rstrip("\n")
        for file in schema.source_files()
    }


def newest_copies(frozen: Iterable[Frozen]) -> dict[str, str]:
    """Returns for each path the newest of its copies."""
    return {path: text for migration in frozen for path, text in migration.copies().items()}
