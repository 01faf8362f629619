"""What a tool found, and the exceptions that are made, each with its reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("exceptions.toml")


class Unavailable(Exception):
    """A tool, or what it needs, is not to be had on this machine."""


class Finding(NamedTuple):
    """Something that a tool complains of."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Exempt:
    """Findings that are as they should be: regular expressions for the whole of each part."""

    where: str
    what: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it speaks of this finding."""
        return bool(re.fullmatch(self.where, finding.where) and re.match(self.what, finding.what))


def exceptions(tool: str) -> list[Exempt]:
    """Returns a tool's exceptions.

    Raises:
        ValueError: one of them gives no reason.
    """
    listed = [Exempt(**entry) for entry in tomllib.loads(_FILE.read_text()).get(tool, [])]
    for entry in listed:
        if not entry.reason.strip():
            raise ValueError(f"{_FILE.name}: {tool}, {entry.where}: no reason given")
    return listed


def judge(findings: Iterable[Finding], exempt: Iterable[Exempt]) -> Iterator[str]:
    """Yields each finding without an exception, and each exception without a finding."""
    unused = list(exempt)
    known = tuple(unused)
    for finding in findings:
        covering = [entry for entry in known if entry.covers(finding)]
        unused = [entry for entry in unused if entry not in covering]
        if not covering:
            yield str(finding)
    for entry in unused:
        yield f"an exception that nothing needs any more: {entry.where}: {entry.what}"
