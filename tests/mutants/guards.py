"""Finds the guards in ``sql/``, and makes of each a mutant: the file without it.

A guard is a condition on a token or a status, a row lock, its SKIP LOCKED, an ORDER BY, a REVOKE,
or the pg_temp at the end of a search_path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_VALUE = r"(?:any ?\([^)]*\)|\([^)]*\)|'[^']*'|[\w.]+)"
_COMPARED = rf"(?:=|<>|>=|<=|<|>|is not distinct from|is distinct from|in|not in) {_VALUE}"
_KEY = r"\w+(?:\.\w+)?(?: (?:asc|desc))?(?: nulls (?:first|last))?"

# What each kind looks like, and what is put in its place.
KINDS: dict[str, tuple[re.Pattern[str], str]] = {
    "token": (
        re.compile(rf"(?<=[ (])(?!pg_)\w+\.token (?:{_COMPARED}|is not null)(?: - \w+)?"),
        "true",
    ),
    "status": (re.compile(rf"(?<=[ (])(?!pg_)\w+\.status {_COMPARED}"), "true"),
    "lock": (re.compile(r"\s*\bfor update(?: of \w+)?(?: skip locked)?(?=[;)\s])"), ""),
    "skip locked": (re.compile(r" skip locked\b"), ""),
    "order": (re.compile(rf"\s*\border by {_KEY}(?:, {_KEY})*(?=\s|\)|;)"), ""),
    "revoke": (re.compile(r"^revoke all on .*;$", re.MULTILINE), ""),
    "pg_temp": (re.compile(r"^set search_path = pg_catalog(, pg_temp)$", re.MULTILINE), ""),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file of ``sql/`` without one of its guards.

    Attributes:
        file: the file, relative to ``sql/``.
        kind: what was taken out.
        line: the number of its line.
        nth: which of its kind it is in the file, from 1.
        text: the line, as it stands in the original.
        source: the whole file without it.
    """

    file: str
    kind: str
    line: int
    nth: int
    text: str
    source: str

    @property
    def name(self) -> str:
        """What it is known by as long as the guards before it stay the same."""
        return f"{self.file} {self.kind} {self.nth}"

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def mutants(folder: Path) -> Iterator[Mutant]:
    """Yields the mutants of every file in a copy of ``sql/``."""
    for file in sorted(folder.glob("*/*.sql")):
        yield from mutants_of(file.relative_to(folder).as_posix(), file.read_text())


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Yields the mutants of one file."""
    code = _blank_out(source)
    for kind, (pattern, instead) in KINDS.items():
        for nth, found in enumerate(pattern.finditer(code), start=1):
            start, end = found.span(1) if pattern.groups else found.span()
            at = start + len(found[0]) - len(found[0].lstrip())
            line = source.count("\n", 0, at)
            yield Mutant(
                file=file,
                kind=kind,
                line=line + 1,
                nth=nth,
                text=source.splitlines()[line].strip(),
                source=source[:start] + instead + source[end:],
            )


def _blank_out(source: str) -> str:
    """The source with blanks where comments are, and what COMMENT ON says."""

    def blanks(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    return re.sub(r"--[^\n]*|^comment on (?s:.*?)';$", blanks, source, flags=re.MULTILINE)
