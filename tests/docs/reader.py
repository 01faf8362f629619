"""A reader who types everything in a document: SQL, Python and shell, from top to bottom."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from docs.markdown import Block
from docs.matching import Ids
from docs.session import MARK, Place, Session

READERS_DATABASE = "postgresql:///app"
"""What the documents call the reader's database."""

_READERS_OWN = re.compile(r"\bapp(?=_(?:web|worker|restored)\b)")
"""Roles and other databases that a reader makes: on a shared server they need names apart."""

_WRONG = re.compile(r"^(?:psql:.*)?(?:ERROR|FATAL): |^Traceback ", re.MULTILINE)
_PROMPT = re.compile(r"^(\$|app=>) (.*\n)", re.MULTILINE)
_FILE = re.compile(r"# (\w+)\.py\n")


class Reader:
    """Follows one document, in a folder and a database of its own.

    SQL goes to one psql, Python to one interpreter, as if the reader kept both open; each block
    of shell to a shell of its own.
    """

    def __init__(self, dsn: str, folder: Path) -> None:
        """Sits down.

        Args:
            dsn: the database that the document's examples are about.
            folder: an empty folder to work in.
        """
        self._dsn = dsn
        self._place = Place.for_database(dsn, folder)
        self._ids = Ids()
        self._sessions: dict[str, Session] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self._sessions.values():
            session.close()

    def follow(self, block: Block) -> None:
        """Does what a block says, and asserts that the outcome is what the document shows."""
        if block.not_run_because:
            return
        match block.language:
            case "sql":
                self._check(block.output, self._psql(block.text))
            case "python":
                self._check(block.output, self._python(block))
            case "sh":
                self._check(block.output, self._shell(block.text))
            case "console":
                self._console(block.text)
            case "json":
                json.loads(block.text)

    def _console(self, transcript: str) -> None:
        before, *parts = _PROMPT.split(transcript)
        assert not before, f"before the first prompt stands {before!r}"
        for prompt, command, shown in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            self._check(shown, self._shell(command) if prompt == "$" else self._psql(command))

    def _psql(self, text: str) -> str:
        psql = ["psql", "-X", "-d", self._dsn]
        return self._session(psql).say(f"{self._real(text)}\n\\echo {MARK}\n")

    def _python(self, block: Block) -> str:
        source = self._real(block.text)
        if file := _FILE.match(source):
            (self._place.folder / f"{file[1]}.py").write_text(source, encoding="utf-8")
            source = f"import importlib, {file[1]}\nimportlib.reload({file[1]})\n"
        interpreter = [sys.executable, str(Path(__file__).with_name("interpreter.py")), MARK]
        return self._session(interpreter).say(
            json.dumps([str(block.document), block.line, source]) + "\n"
        )

    def _shell(self, text: str) -> str:
        ran = subprocess.run(
            ["sh", "-euc", self._real(text)],
            cwd=self._place.folder,
            env=self._place.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def _session(self, command: list[str]) -> Session:
        if command[0] not in self._sessions:
            self._sessions[command[0]] = Session(command, self._place)
        return self._sessions[command[0]]

    def _real(self, text: str) -> str:
        text = self._ids.real(text).replace(READERS_DATABASE, self._dsn)
        return _READERS_OWN.sub(self._place.environment["PGDATABASE"], text)

    def _check(self, shown: str | None, printed: str) -> None:
        if shown is not None:
            self._ids.check(shown, printed)
        assert _WRONG.search(shown or "") or not _WRONG.search(printed), printed
