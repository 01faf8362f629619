"""A system under measurement, as the harness sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Verb = Literal["setup", "enqueue", "produce", "work"]

ALL_VERBS: frozenset[Verb] = frozenset({"setup", "enqueue", "produce", "work"})


class Program(Protocol):
    """How a system's driver is installed and started."""

    def install(self) -> None:
        """Installs what it needs, unless that is there already.

        Raises:
            CannotInstall: something is missing; the message is one clear line.
        """

    def versions(self) -> dict[str, str]:
        """Returns the versions of the packages it runs on, by name."""

    def command(self) -> list[str]:
        """Returns the words that start the driver, before its verb."""

    def environment(self) -> dict[str, str]:
        """Returns the environment of the driver's process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlDrain:
    """A system's drain by pgbench, without a line of client code.

    Attributes:
        script: claims ``:batch`` jobs in one transaction and completes them in another.
        completed_once: a query that counts the jobs completed at their first attempt.
        upkeep: what its documents have somebody run every second, if anything.
    """

    script: Path
    completed_once: str
    upkeep: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A job queue and its driver.

    Attributes:
        name: the name in tables and on the command line.
        summary: its settings, in words.
        program: its driver.
        remaining_sql: a cheap query whose one value is true while any job is unfinished.
        can: the driver's verbs.
        jobs: how many jobs a drain preloads; fewer where so many would take minutes.
        concurrency: the handlers at once that make it fastest, or what its documents recommend.
        options: its settings beyond that, handed to the driver as JSON.
        stored_sql: a query that counts the jobs stored, where enqueueing alone is measured.
        sql_drain: its drain in SQL alone, where there is one.
        sql_enqueue: a pgbench script that enqueues one job with ``:payload``, where there is one.
        sql_enqueue_many: a pgbench script that enqueues the jobs of ``batch.jobs``, the same.
    """

    name: str
    summary: str
    program: Program
    remaining_sql: str
    can: frozenset[Verb] = ALL_VERBS
    jobs: int = 200_000
    concurrency: int = 10
    options: Mapping[str, Any] = field(default_factory=dict)
    stored_sql: str | None = None
    sql_drain: SqlDrain | None = None
    sql_enqueue: Path | None = None
    sql_enqueue_many: Path | None = None

    def command(self, verb: Verb, **arguments: str | int | float | Path | None) -> list[str]:
        """Returns the words of a driver's call: ``work_ms=5`` becomes ``--work-ms 5``."""
        words = [*self.program.command(), verb]
        for name, value in arguments.items():
            if value is not None:
                words += ["--" + name.replace("_", "-"), str(value)]
        if verb == "work" and self.options and "options" not in arguments:
            words += ["--options", json.dumps(dict(self.options))]
        return words
