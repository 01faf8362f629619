"""A finding: one thing about a database, and what it does to a queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum

from rowqueue.benchmark.facts import Facts

RELOAD = "select pg_reload_conf();"


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at, for programs.
        level: how bad it is.
        seen: what is set, or happens.
        why: why that hurts; empty where it doesn't.
        remedy: a statement that helps; empty where there is none.
    """

    name: str
    level: Level
    seen: str
    why: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Returns it for JSON."""
        return {**asdict(self), "level": self.level.value}


Judge = Callable[[Facts], Iterator[Finding]]
"""Looks at one thing: yields a finding, or several where several are to blame."""


def fine(name: str, seen: str) -> Finding:
    """Returns a finding with nothing to find fault with."""
    return Finding(name, Level.OK, seen)


def shown(facts: Facts, name: str) -> str:
    """Returns a setting as it stands in a configuration file."""
    return f"{name} = {facts.settings[name].text or chr(39) * 2}"


def set_to(name: str, value: str) -> str:
    """Returns the statement that changes a setting for the whole server."""
    return f"alter system set {name} = {value}; {RELOAD}"
