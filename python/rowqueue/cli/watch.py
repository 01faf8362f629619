"""Follows a job: a bar on a terminal, lines elsewhere, JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rowqueue.cli.output import as_dict, console, print_json, readable
from rowqueue.jobs import JobRow
from rowqueue.text import clean


def follow(look: Callable[[], JobRow], interval: float, as_json: bool) -> JobRow:
    """Shows each change of a job until it ends, and returns how it ended."""
    if as_json:
        view: AbstractContextManager[Callable[[JobRow], None]] = nullcontext(_print_as_json)
    elif console().is_terminal:
        view = _Bar()
    else:
        view = nullcontext(_print_line)
    job = look()
    with view as show:
        show(job)
        while not job.finished:
            time.sleep(interval)
            before, job = job, look()
            if _state(job) != _state(before):
                show(job)
    return job


def brief(job: JobRow) -> str:
    """Returns the one thing about a job that is of interest beside its status."""
    if job.status == "completed" or (job.status == "pending" and job.attempts == 0):
        return ""
    if job.finished:
        return job.error or ""
    if job.status == "pending":
        return f"next at {readable(job.run_after)} after: {job.last_error}"
    asked = "asked to stop; " if job.cancel_requested_at else ""
    current, total, message = _progress(job)
    figures = f"{current:g}/{total:g}" if total else f"{current:g}" if current else ""
    return f"{asked}{figures} {message}".strip()


def _state(job: JobRow) -> tuple[object, ...]:
    return job.status, job.attempts, job.progress_json, job.last_error, job.cancel_requested_at


def _progress(job: JobRow) -> tuple[float, float | None, str]:
    progress: dict[str, Any] = job.progress or {}
    return progress.get("current") or 0, progress.get("total"), progress.get("message") or ""


def _print_as_json(job: JobRow) -> None:
    print_json(as_dict(job))


def _print_line(job: JobRow) -> None:
    click.echo(clean(f"{job.status} {brief(job)}"))


class _Bar:
    """A progress bar that shows one job."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console(),
        )

    def __enter__(self) -> Callable[[JobRow], None]:
        self._bar.start()
        self._task = self._bar.add_task("", total=None, note="")
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self, job: JobRow) -> None:
        current, total, message = _progress(job)
        if job.status == "completed":
            current = total = total or 1
        self._bar.update(
            self._task,
            description=job.status,
            completed=current,
            total=total,
            note=clean(message if job.status == "running" else brief(job)),
        )
