"""The verdict on a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from torture.checker import answers, attempts, ends, enqueued, leases, order
from torture.checker.check import Check, Violation
from torture.checker.facts import Facts
from torture.checker.figures import figures
from torture.checker.inapplicable import JUDGED_IN_PART, NOT_JUDGED
from torture.checker.load import load
from torture.checker.sometimes import SOMETIMES, faults_without_trace
from torture.checker.story import shortest, story

CHECKS: tuple[Check, ...] = (
    *enqueued.CHECKS,
    *leases.CHECKS,
    *ends.CHECKS,
    *attempts.CHECKS,
    *order.CHECKS,
    *answers.CHECKS,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks found.

    Attributes:
        facts: what the run was.
        violations: the checks that found something.
        stories: for each of them the shortest history of a guilty job, empty if no job is.
        seen: how often each thing that must happen sometimes did.
        missing: what should have happened and did not: the run is void.
        figures: what the run amounted to.
    """

    facts: Facts
    violations: list[Violation]
    stories: list[list[str]]
    seen: dict[str, int]
    missing: list[str]
    figures: dict[str, dict[str, int]]

    @property
    def valid(self) -> bool:
        """Whether no check found anything."""
        return not self.violations

    @property
    def void(self) -> bool:
        """Whether the run shows nothing, for what it should have tried did not happen."""
        return bool(self.missing)

    @property
    def broken(self) -> set[str]:
        """The invariants that do not hold."""
        return {violation.check.invariant for violation in self.violations}

    def report(self) -> str:
        """Returns the verdict as text: first the word, then the reasons."""
        word = ":void" if self.void and self.valid else str(self.valid).lower()
        lines = [
            f"{{:valid? {word}}}",
            f"seed {self.facts.seed}, commit {self.facts.commit}, PostgreSQL {self.facts.postgres}",
            f"faults: {' '.join(self.facts.faults) or 'none'}",
            "",
        ]
        for violation, told in zip(self.violations, self.stories, strict=True):
            lines += [f"VIOLATED {violation.check}: {len(violation.findings)} times"]
            lines += [f"  {found.job or '-'}: {found.what}" for found in violation.findings[:5]]
            lines += [f"  {line}" for line in told]
            lines += [""]
        lines += [f"did not happen: {what}" for what in self.missing]
        lines += [f"sometimes: {what}: {count}" for what, count in self.seen.items()]
        for heading, numbers in self.figures.items():
            lines += ["", f"{heading}:"]
            lines += [f"  {name}: {count:,}" for name, count in numbers.items()]
        lines += ["", f"{len(CHECKS)} checks; not judged:"]
        lines += [f"  {name}: {why}" for name, why in NOT_JUDGED.items()]
        lines += ["judged in part:", *(f"  {name}: {why}" for name, why in JUDGED_IN_PART.items())]
        return "\n".join(lines) + "\n"


def judge(
    db: psycopg.Connection[Any], folder: Path, *, checks: Sequence[Check] = CHECKS
) -> Verdict:
    """Judges a run by its histories in a folder and the database that it left.

    Args:
        db: a session of the database's owner, in autocommit.
        folder: the histories, and ``run.json``.
        checks: which, all of them if left out.
    """
    facts = Facts.read(folder)
    load(db, folder, facts)
    violations = [found for check in checks if (found := check.run(db)) is not None]
    guilty = (shortest(db, {f.job for f in v.findings if f.job}) for v in violations)
    stories = [story(db, job) if job else [] for job in guilty]
    asked = frozenset(facts.faults)
    expected = [s for s in SOMETIMES if not s.needs or s.needs & asked]
    seen = {sometimes.name: sometimes.count(db) for sometimes in expected}
    missing = [f"fault {fault}" for fault in faults_without_trace(db, asked)]
    missing += [name for name, count in seen.items() if not count]
    return Verdict(facts, violations, stories, seen, missing, figures(db))
