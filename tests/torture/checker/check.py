"""What a check is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg


@dataclass(frozen=True, slots=True)
class Finding:
    """A job that something is wrong with, or None where it is no single job's fault."""

    job: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """A query for what an invariant forbids.

    Attributes:
        invariant: its name in the list of invariants, ``I-5``.
        rule: what holds when the query finds nothing.
        sql: gives ``job`` and ``what`` of each violation, from the tables of `derive.sql`.
    """

    invariant: str
    rule: str
    sql: LiteralString

    def run(self, db: psycopg.Connection[Any]) -> Violation | None:
        """Returns what it finds, if it finds anything."""
        findings = self.find(db)
        return Violation(self, findings) if findings else None

    def find(self, db: psycopg.Connection[Any]) -> list[Finding]:
        """Executes the query."""
        found = db.execute(f"select f.job::text, f.what from ({self.sql}) as f(job, what)")
        return [Finding(job, what) for job, what in found]

    def __str__(self) -> str:
        return f"{self.invariant} {self.rule}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A check that found something.

    Attributes:
        check: which.
        findings: what it found.
    """

    check: Check
    findings: list[Finding]
