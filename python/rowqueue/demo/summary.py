"""What a demo says at its end: a table for people, or JSON."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rowqueue.demo.database import Database
from rowqueue.demo.follow import Followed, Incident, outcome
from rowqueue.demo.names import QUEUE
from rowqueue.text import clean, counted

_ERRORS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """What happened.

    Attributes:
        source: where the records came from.
        seconds: how long all of it took.
        jobs: the jobs, as they ended.
        database: where they are.
        kept: whether the demo's records and files are left there.
        folder: where the files are, or were.
    """

    source: str
    seconds: float
    jobs: list[Followed]
    database: Database
    kept: bool
    folder: Path

    @property
    def ok(self) -> bool:
        """Whether every job really completed."""
        return bool(self.jobs) and all(job.completed for job in self.jobs)

    @property
    def records(self) -> int:
        """How many records were synced."""
        return sum(result["totalRecords"] for result in self._synced)

    @property
    def error_count(self) -> int:
        """How many things in the source could not be read."""
        return sum(one["errors"] for result in self._synced for one in result["results"])

    @property
    def errors(self) -> list[str]:
        """Those of them that the jobs' results have room for."""
        return [error for result in self._synced for error in result["errors"]]

    @property
    def psql(self) -> str | None:
        """The line with which to look at the jobs, if they are still there."""
        if self.database.own and not self.kept:
            return None
        query = (
            "select job_type, status, attempts, crashes, last_error from rowqueue.jobs"
            f" where queue = '{QUEUE}' order by id desc limit {len(self.jobs)}"
        )
        return f'psql {shlex.quote(self.database.shown)} -c "{query}"'

    @property
    def _synced(self) -> list[dict[str, Any]]:
        return [job.row.result for job in self.jobs if job.completed and job.row.job_type == "sync"]

    def as_dict(self) -> dict[str, Any]:
        """Returns all of it as JSON has it."""
        return {
            "ok": self.ok,
            "source": self.source,
            "seconds": round(self.seconds, 2),
            "records": self.records,
            "errors": self.error_count,
            "jobs": [_job(job) for job in self.jobs],
            "psql": self.psql,
            "folder": str(self.folder) if self.kept else None,
            "server_pid": self.database.pid,
        }


def _job(job: Followed) -> dict[str, Any]:
    row = job.row
    return {
        "id": str(row.id),
        "workspace": job.workspace,
        "job_type": row.job_type,
        "status": row.status,
        "attempts": row.attempts,
        "crashes": row.crashes,
        "worker": row.worker,
        "seconds": round(job.seconds, 2),
        "incidents": [asdict(incident) for incident in job.incidents],
        "error": row.error,
        "result": row.result,
    }


def print_summary(console: Console, summary: Summary) -> None:
    """Prints what happened, and where to look for oneself."""
    console.print()
    console.print(_headline(summary))
    _section(console, None, _jobs(summary))
    _section(console, "What went wrong, and what became of it", _incidents(summary))
    _section(console, f"{counted(summary.error_count, 'error')} in the source", _errors(summary))
    console.print()
    for line in _where_to_look(summary):
        console.print(line, soft_wrap=True)


def _section(console: Console, title: str | None, table: Table) -> None:
    """Prints a table, if there is anything in it; where lines may be long, without padding."""
    if not table.row_count:
        return
    console.print()
    if title:
        console.print(title, style="bold")
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def _headline(summary: Summary) -> Text:
    completed = sum(job.completed for job in summary.jobs)
    if not summary.ok:
        others = len(summary.jobs) - completed
        return Text(
            f"{counted(others, 'job')} of {len(summary.jobs)} did not complete.", "bold red"
        )
    retried = sum(any(i.what == "failed" for i in job.incidents) for job in summary.jobs)
    rescued = sum(any(i.what == "lost" for i in job.incidents) for job in summary.jobs)
    return Text(
        f"All {completed} jobs completed in {summary.seconds:.1f} s: "
        f"{counted(summary.records, 'record')}, {counted(summary.error_count, 'error')}; "
        f"{retried} retried, {rescued} rescued from a killed worker.",
        "bold green",
    )


def _jobs(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("workspace", no_wrap=True)
    table.add_column("job", no_wrap=True)
    table.add_column("attempts", justify="right")
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("outcome")
    for job in summary.jobs:
        how = outcome(job.row)
        end = Text(how, "green") if job.completed else Text(f"{job.row.status}: {how}", "red")
        took = f"{job.seconds:.1f} s"
        table.add_row(job.workspace, job.row.job_type, str(job.row.attempts), took, end)
    return table


def _incidents(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for job in summary.jobs:
        for incident in job.incidents:
            table.add_row(job.workspace, Text(_told(incident)))
    return table


def _told(incident: Incident) -> str:
    if incident.recovered_at is None:
        return incident.text
    verb = "rescued" if incident.what == "lost" else "retried"
    after = incident.recovered_at - incident.at
    return f"{incident.text}; {verb} by {incident.recovered_by} after {after:.1f} s"


def _errors(summary: Summary) -> Table:
    table = Table.grid()
    table.add_column(no_wrap=True, overflow="ellipsis")
    for error in summary.errors[:_ERRORS_SHOWN]:
        table.add_row(Text(clean(error)))
    if hidden := summary.error_count - min(len(summary.errors), _ERRORS_SHOWN):
        table.add_row(f"and {hidden:,} more")
    return table


def _where_to_look(summary: Summary) -> list[Text]:
    if summary.psql is None:
        return [Text("All this was in a temporary database. With --keep, it stays.", "dim")]
    lines = [Text("Look for yourself:", "bold"), Text(f"  {summary.psql}")]
    if not summary.kept:
        lines.append(
            Text("The demo's own tables and files are gone. With --keep, they stay.", "dim")
        )
        return lines
    lines.append(Text(f"The records are in rowqueue_demo.records, the files in {summary.folder}."))
    if summary.database.pid is not None:
        away = f"kill {summary.database.pid}; rm -r {summary.folder.parent}"
        lines.append(Text(f"The server runs until you are done with it: {away}"))
    return lines
