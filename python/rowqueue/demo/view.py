"""What a demo shows while it runs: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rowqueue.demo.follow import Event, Followed, Follower, Tone, outcome

_STYLES: dict[Tone, str] = {"plain": "", "trouble": "red", "recovery": "yellow", "done": "green"}
_BAR_WIDTH = 16
_BARS_AT_A_SECOND = 8
_LINES_EVERY = 2.0


class View(Protocol):
    """Shows a demo that is under way."""

    def tell(self, event: Event) -> None:
        """Shows something that has happened."""

    def show(self, at: float, follower: Follower) -> None:
        """Shows how far the jobs are, a number of seconds after the demo began."""

    def shown(self) -> AbstractContextManager[object]:
        """Returns what takes the screen, and gives it back."""


def make_view(console: Console, *, silent: bool) -> View:
    """Returns the view that suits a console."""
    if silent:
        return Silence()
    return Bars(console) if console.is_terminal else Lines(console)


class Silence:
    """Shows nothing."""

    def tell(self, event: Event) -> None:
        """Does nothing."""

    def show(self, at: float, follower: Follower) -> None:
        """Does nothing."""

    def shown(self) -> AbstractContextManager[object]:
        """Returns a context that does nothing."""
        return nullcontext()


class Lines:
    """Prints a line for all that happens, and every now and then for each running job."""

    def __init__(self, console: Console) -> None:
        """Prints on a console."""
        self._console = console
        self._lines_at = _LINES_EVERY

    def tell(self, event: Event) -> None:
        """Prints an event."""
        self._print(event.at, event.text)

    def show(self, at: float, follower: Follower) -> None:
        """Prints where the running jobs are, unless it did so just now."""
        if at < self._lines_at:
            return
        self._lines_at = at + _LINES_EVERY
        for job in follower.jobs:
            if job.row.status == "running":
                self._print(at, f"{job.workspace}: {_state(job).plain}")

    def shown(self) -> AbstractContextManager[object]:
        """Returns a context that does nothing."""
        return nullcontext()

    def _print(self, at: float, text: str) -> None:
        self._console.print(f"{at:5.1f} s  {text}", markup=False, highlight=False, soft_wrap=True)


class Bars:
    """Keeps a bar for each job at the foot of a terminal; what happens scrolls by above."""

    def __init__(self, console: Console) -> None:
        """Draws on a terminal."""
        self._console = console
        self._live = Live(console=console, refresh_per_second=_BARS_AT_A_SECOND, transient=True)

    def tell(self, event: Event) -> None:
        """Prints an event."""
        line = Table.grid(padding=(0, 2))
        line.add_row(Text(f"{event.at:5.1f} s", "dim"), Text(event.text, _STYLES[event.tone]))
        self._console.print(line)

    def show(self, at: float, follower: Follower) -> None:
        """Draws the bars."""
        self._live.update(self._drawn(follower))

    def shown(self) -> AbstractContextManager[object]:
        """Returns the context in which there are bars."""
        return self._live

    def _drawn(self, follower: Follower) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        for _ in range(4):
            grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        grid.add_row()
        shown = _worth_a_bar(follower.jobs, room=self._console.height - 4)
        for job in shown:
            kind = Text(job.row.job_type, "dim")
            grid.add_row(job.workspace, kind, _bar(job), _mark(job), _state(job))
        if hidden := len(follower.jobs) - len(shown):
            done = sum(job.completed for job in follower.jobs)
            grid.add_row("…", "", "", "", Text(f"{hidden} more; {done} completed in all", "dim"))
        return grid


def _worth_a_bar(jobs: Sequence[Followed], room: int) -> Sequence[Followed]:
    """Returns the jobs to show, in their order; where not all fit, those that are under way."""
    if len(jobs) <= room:
        return jobs
    by_interest = sorted(jobs, key=lambda job: (job.row.finished, not job.begun))
    chosen = {job.id for job in by_interest[:room]}
    return [job for job in jobs if job.id in chosen]


def _bar(job: Followed) -> ProgressBar:
    if job.completed:
        return ProgressBar(1, 1, width=_BAR_WIDTH)
    return ProgressBar(job.total, job.current, width=_BAR_WIDTH)


def _state(job: Followed) -> Text:
    """Returns how a job is."""
    row = job.row
    if row.finished:
        return Text(outcome(row), "green" if job.completed else "red")
    if row.status == "running":
        if job.orphaned:
            left = f"lease ends in {job.lease_left:.1f} s" if job.lease_left else "lease ran out"
            return Text(f"worker dead, {left}", "red")
        return Text(job.message or "begins")
    if row.attempts:
        return Text(f"next attempt in {job.due_in:.1f} s", "yellow")
    return Text("waits for a worker", "dim")


def _mark(job: Followed) -> Text:
    """Returns where a job is: with a worker, or at its end."""
    if job.row.finished:
        return Text("✓", "green") if job.completed else Text("✗", "red")
    return Text(job.row.worker or "", "red" if job.orphaned else "")
