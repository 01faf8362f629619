"""Takes a guard out of a function, in one test's own database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

SQL = Path(__file__).parents[2] / "sql"


@dataclass(frozen=True, slots=True)
class Edit:
    """Within a file of ``sql/``, `old` becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A schema without one of its guards.

    Attributes:
        name: what is wrong with it.
        edits: how its functions differ from those in ``sql/``.
        statements: what else is run.
        harmless: it takes no guard out, but changes what suits a test.
    """

    name: str
    edits: tuple[Edit, ...] = ()
    statements: tuple[str, ...] = ()
    harmless: bool = False

    def apply(self, db: psycopg.Connection) -> None:
        """Puts the mutant in place of the original, in this database only.

        Where the schema is a mutant already (see ``tests/mutants``), nothing is to be learnt from a
        second one: the test is skipped.
        """
        if "ROWQUEUE_MUTANT" in os.environ and not self.harmless:
            pytest.skip("the schema is a mutant already")
        sources: dict[str, str] = {}
        for edit in self.edits:
            source = sources.get(edit.file) or (SQL / edit.file).read_text()
            assert source.count(edit.old) == 1, (
                f"sql/{edit.file} reads differently now: bring the mutation {self.name!r} up to "
                f"date, which looks for: {edit.old}"
            )
            sources[edit.file] = source.replace(edit.old, edit.new)
        for statement in (*sources.values(), *self.statements):
            db.execute(statement)

    def __str__(self) -> str:
        return self.name
