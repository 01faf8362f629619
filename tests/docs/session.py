"""Programs that are kept open while a document is followed, and where they run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from docs.markdown import ROOT
from rowqueue.embedded import EmbeddedUnavailable, find_binaries

MARK = "-- the end of this block --"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program runs: its working folder and its environment."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def for_database(cls, dsn: str, folder: Path) -> Place:
        """Makes a copy of the checkout, as it were, where `rowqueue` and psql are commands."""
        for name in ("sql", "migrations", "examples"):
            (folder / name).symlink_to(ROOT / name)
        commands = folder / "bin"
        commands.mkdir()
        rowqueue = commands / "rowqueue"
        rowqueue.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rowqueue "$@"\n')
        rowqueue.chmod(0o755)
        with psycopg.connect(dsn) as session:
            return cls(folder, _environment(dsn, session.info, commands))


def _environment(dsn: str, server: psycopg.ConnectionInfo, commands: Path) -> dict[str, str]:
    path = [str(commands), os.environ["PATH"]]
    with suppress(EmbeddedUnavailable):  # then a psql that is there anyway has to do
        version = str(server.server_version // 10000)
        path.insert(1, str(find_binaries(version, prefer="installed").folder))
    return os.environ | {
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(ROOT / "python"),
        "PYTHONWARNINGS": "error",
        "ROWQUEUE_DSN": dsn,
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.user,
        "PGPASSWORD": server.password,
        "PGDATABASE": server.dbname,
        "PGCLIENTENCODING": "UTF8",
        "PGTZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PAGER": "",
    }


class Session:
    """A program that reads blocks from its stdin, and prints `MARK` after each."""

    def __init__(self, command: list[str], place: Place) -> None:
        """Starts the program."""
        self._process = subprocess.Popen(
            command,
            cwd=place.folder,
            env=place.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def say(self, text: str) -> str:
        """Hands over a block and returns what the program printed for it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(text)
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line == f"{MARK}\n":
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"it ended:\n{''.join(printed)}")

    def close(self) -> None:
        """Ends the program, as the end of its stdin does."""
        with self._process:
            pass
