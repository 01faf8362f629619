"""Tries whether the tests notice that a guard is gone, in a copy of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import psycopg
from psycopg.rows import namedtuple_row

from contract import test_security
from model.interleavings import play
from model.table import Table
from mutants.guards import Mutant
from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres
from support.server import SETTINGS, fast_place, own_version

ROOT = Path(__file__).parents[2]
COPIED = ("sql", "python", "tests", "migrations", "docs", ".ci", "pyproject.toml", "README.md")
CATALOGUE = ("contract/test_security.py", "contract/test_default_privileges.py")
INTERLEAVINGS = 400
INTERLEAVED = ("2_enqueue", "3_claim", "4_run", "5_finish", "6_maintain")
# The tests of each stage, those first that are quick and notice most.
TESTS = {
    "0_base": (*CATALOGUE, "contract", "sql"),
    "1_tables": (
        *CATALOGUE, "sql/claim", "races/test_claims.py", "sql/test_plans.py",
        "races/test_floors.py", "races/test_sweep.py",
    ),
    "2_enqueue": ("sql/enqueue", "races/test_unique_keys.py", "races/test_deadlocks.py"),
    "3_claim": (
        "sql/claim", "races/test_claims.py", "sql/maintain", "races/test_maintenance.py",
        "races/test_sweep.py", "races/test_held_snapshot.py", "races/test_floors.py",
        "races/test_crowd.py", "sql/test_plans.py", "servers",
    ),
    "4_run": (
        "sql/run", "races/test_stale_writes.py", "lifecycle", "races/test_deadlocks.py",
        "races/test_pairs.py",
    ),
    "5_finish": (
        "sql/finish", "races/test_stale_writes.py", "lifecycle", "races/test_deadlocks.py",
        "races/test_pairs.py",
    ),
    "6_maintain": (
        "sql/maintain", "sql/test_seed.py", "races/test_maintenance.py", "races/test_sweep.py",
        "races/test_floors.py", "races/test_held_snapshot.py", "lifecycle",
        "races/test_pairs.py", "races/test_crowd.py", "sql/test_plans.py", "servers",
    ),
    "7_observe": ("sql/observe", "lifecycle", "sql"),
    "8_doctor": ("doctor",),
}  # fmt: skip
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
LONGEST = 600
"""Seconds after which a mutant that hangs the tests counts as noticed."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant.

    Attributes:
        mutant: which one.
        killer: what noticed it; None when nothing did.
    """

    mutant: Mutant
    killer: str | None


class Laboratory:
    """A copy of the tree, and a server, for one mutant after the other."""

    def __init__(self) -> None:
        """Copies the tree and starts the server."""
        self._things = ExitStack()
        self._server = self._things.enter_context(
            EmbeddedPostgres(
                version=own_version(),
                prefer="installed",
                temporary_in=fast_place(),
                settings=SETTINGS,
                fsync=False,
            )
        )
        folder = self._things.enter_context(tempfile.TemporaryDirectory(prefix="rowqueue-mutants-"))
        self._tree = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, self._tree / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self._tree / name)
        self._schema = schema.render()
        self._passing: set[str] = set()
        self._database("original", self._schema)

    def close(self) -> None:
        """Removes both."""
        self._things.close()

    def try_(self, mutant: Mutant, *, thoroughly: bool = True) -> Fate:
        """Puts a mutant in the place of its original, and looks for a test that notices.

        Args:
            mutant: which one.
            thoroughly: not only where it takes a second.
        """
        try:
            killer = self._quick_look(mutant)
        except psycopg.Error as error:
            killer = f"the installation: {str(error).splitlines()[0]}"
        if thoroughly and killer is None:
            killer = self._run_tests(mutant)
        return Fate(mutant, killer)

    def _quick_look(self, mutant: Mutant) -> str | None:
        """What notices it without a run of pytest: the catalogue's tests, or an interleaving."""
        if mutant.kind in ("revoke", "pg_temp"):
            original = (self._tree / "sql" / mutant.file).read_text().strip()
            assert original in self._schema
            self._database("mutant", self._schema.replace(original, mutant.source.strip()))
            return self._catalogue_test()
        if mutant.file.split("/")[0] not in INTERLEAVED:
            return None
        self._database("mutant", mutant.source, template="original")
        with Table(self._url("mutant")) as table:
            tally = play(table, seed=1, numbers=range(INTERLEAVINGS), shrinks=False)
        return f"model: interleaving {tally.played - 1} of seed 1" if tally.wrong else None

    def _database(self, name: str, script: str, template: str = "template1") -> None:
        with psycopg.connect(self._server.dsn, autocommit=True) as session:
            session.execute(f"drop database if exists {name} with (force)".encode())
            session.execute(f"create database {name} template {template}".encode())
            session.execute(f"alter database {name} set statement_timeout = '20s'".encode())
        with psycopg.connect(self._url(name), autocommit=True) as session:
            session.execute(script.encode())

    def _url(self, database: str) -> str:
        return self._server.dsn.removesuffix("/postgres") + f"/{database}"

    def _catalogue_test(self) -> str | None:
        with psycopg.connect(self._url("mutant"), row_factory=namedtuple_row) as session:
            functions = session.execute(test_security.FUNCTIONS).fetchall()
        for name, test in vars(test_security).items():
            if name.startswith("test_") and [*signature(test).parameters] == ["functions"]:
                try:
                    test(functions)
                except AssertionError:
                    return f"tests/{CATALOGUE[0]}::{name}"
        return None

    def _run_tests(self, mutant: Mutant) -> str | None:
        file = self._tree / "sql" / mutant.file
        original = file.read_text()
        file.write_text(mutant.source)
        try:
            for tests in _tests_for(mutant):
                if killer := self._run(tests):
                    break
            else:
                return None
        finally:
            file.write_text(original)
        if killer not in self._passing and killer.startswith("tests/") and self._run(killer):
            raise RuntimeError(f"{killer} fails without a mutant too")
        self._passing.add(killer)
        return killer

    def _run(self, tests: str) -> str | None:
        """Runs some tests until one fails; returns which."""
        command = [
            sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "--tb=no", "-rfE",
            "-p", "no:cacheprovider", tests,
        ]  # fmt: skip
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._tree / "python"),
            "ROWQUEUE_TEST_DSN": self._server.dsn,
            "ROWQUEUE_MUTANT": "1",
        }
        try:
            done = subprocess.run(
                command,
                cwd=self._tree,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{tests} is still running after {LONGEST} s"
        if done.returncode in (0, 5):
            return None
        if done.returncode != 1 or not (found := _FAILED.search(done.stdout)):
            raise RuntimeError(f"{tests} could not be run:\n{done.stdout}{done.stderr}")
        return found[1]


def _tests_for(mutant: Mutant) -> Iterator[str]:
    of_stage = TESTS[mutant.file.split("/")[0]]
    for name in CATALOGUE if mutant.kind in ("revoke", "pg_temp") else of_stage:
        yield f"tests/{name}"
