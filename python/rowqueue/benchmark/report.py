"""What a run came to."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.figures import Figure
from rowqueue.benchmark.findings import Finding


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to.

    Attributes:
        facts: what is known about the database.
        figures: what was measured.
        findings: what that says, the worst first.
        drained: how many jobs each drain had.
        completed: how many jobs were completed.
        lost: how many were lost.
        repeated: how many runs there were beyond each job's first.
        left: what stays in the database, as a sentence; empty for nothing.
    """

    facts: Facts
    figures: Sequence[Figure]
    findings: Sequence[Finding]
    drained: int
    completed: int
    lost: int
    repeated: int
    left: str

    @property
    def ok(self) -> bool:
        """Whether every job was run, and run once."""
        return not self.lost and not self.repeated

    def as_dict(self) -> dict[str, object]:
        """Returns it for JSON."""
        facts = self.facts
        return {
            "versions": {
                "postgresql": facts.after.version,
                "schema": facts.after.schema,
                "rowqueue": _version("rowqueue"),
                "psycopg": _version("psycopg"),
                "python": platform.python_version(),
            },
            "settings": {name: setting.text for name, setting in facts.settings.items()},
            "own_server": facts.place.own,
            "pooler": facts.place.pooler.value,
            "seconds": round(facts.seconds, 1),
            "figures": {figure.measure.name.lower(): figure.as_dict() for figure in self.figures},
            "jobs": {
                "a_drain": self.drained,
                "completed": self.completed,
                "lost": self.lost,
                "repeated": self.repeated,
            },
            "findings": [finding.as_dict() for finding in self.findings],
            "left": self.left or None,
        }


def _version(package: str) -> str | None:
    """Returns the version of an installed package; None in a source tree that is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
