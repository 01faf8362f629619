"""Finds the schema's source, ``sql/``, and renders it as one script of plain SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INCLUDE = re.compile(r"^\\ir\s+(\S+)\s*$")


def sql_folder() -> Path:
    """Returns the folder of ``install.sql``: inside an installed package, or the checkout's."""
    return _folder("sql")


def migrations_folder() -> Path:
    """Returns the folder of the migrations: inside an installed package, or the checkout's."""
    return _folder("migrations")


def newest_schema() -> str:
    """Returns the version of the schema that came with this package."""
    return max(file.name.split(".")[0] for file in migrations_folder().glob("*.sql"))


def source_files() -> list[Path]:
    """Returns the files that ``install.sql`` includes, in its order."""
    install = sql_folder() / "install.sql"
    lines = install.read_text(encoding="utf-8").splitlines()
    return [install.parent / found[1] for line in lines if (found := _INCLUDE.match(line))]


def render() -> str:
    r"""Returns the schema as plain SQL, which psql or any driver can run as it stands.

    It is one transaction: that is what psql's ``\set ON_ERROR_STOP`` becomes.

    Raises:
        ValueError: a file uses another psql command than that and ``\ir``.
    """
    return "\n".join([*_expand(sql_folder() / "install.sql"), "", "commit;", ""])


def _expand(file: Path) -> Iterator[str]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if found := _INCLUDE.match(line):
            yield from _expand(file.parent / found[1])
        elif line == r"\set ON_ERROR_STOP on":
            yield "begin;"
        elif line.startswith("\\"):
            raise ValueError(f"{file}:{number}: a psql command that is not understood: {line}")
        else:
            yield line


def _folder(name: str) -> Path:
    in_package = _PACKAGE / f"_{name}"
    return in_package if in_package.is_dir() else _PACKAGE.parents[1] / name
