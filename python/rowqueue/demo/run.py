"""The demo: real jobs, visibly at work, with a page that fails and a worker that is killed."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from json import dumps
from pathlib import Path
from time import monotonic, sleep
from uuid import UUID

import psycopg
from rich.console import Console

from rowqueue import Queue, WrongState
from rowqueue.demo import faults, store
from rowqueue.demo.connectors import SourceError
from rowqueue.demo.database import Database, open_database
from rowqueue.demo.faults import Fault
from rowqueue.demo.follow import Event, Followed, Follower, Incident, Tone
from rowqueue.demo.names import QUEUE
from rowqueue.demo.plan import Plan, carry_out, make_plan
from rowqueue.demo.store import Connection
from rowqueue.demo.summary import Summary, print_summary
from rowqueue.demo.view import View, make_view
from rowqueue.demo.workers import WorkerEnded, Workers
from rowqueue.embedded import Account
from rowqueue.embedded.cluster import temporary_folder
from rowqueue.interrupts import Interrupts
from rowqueue.migrate import migrate

_LOOK_EVERY = 0.1
_ENDLESS = 100_000


class DemoError(Exception):
    """The demo can't go on."""


def run_demo(
    dsn: str | None, source: str, workspaces: int, workers: int, keep: bool, json: bool
) -> int:
    """Runs the demo.

    Args:
        dsn: the database; one of its own, if left out.
        source: what to sync: ``stdlib``, ``csv:PATH`` or ``http:URL``.
        workspaces: how many workspaces share the source, each with a job of its own.
        workers: how many worker processes there are.
        keep: whether database, records and files are left there.
        json: whether to print the summary alone, as JSON.

    Returns:
        The exit code: 0 if every job completed, 1 if not, 2 if the source is not to be had.

    Raises:
        psycopg.Error, EmbeddedError: the database is not to be had.
        KeyboardInterrupt: it was interrupted. Nothing is left running.
    """
    console = _console()
    view = make_view(console, silent=json)
    began = monotonic()
    try:
        plan = make_plan(source, workspaces)
        summary = _run(plan, dsn, workers, keep, view, lambda: round(monotonic() - began, 3))
    except SourceError as error:
        return _complain(str(error), 2)
    except (DemoError, WorkerEnded) as error:
        return _complain(str(error), 1)
    if json:
        print(dumps(summary.as_dict()))
    else:
        print_summary(console, summary)
    return 0 if summary.ok else 1


def _run(
    plan: Plan,
    dsn: str | None,
    workers: int,
    keep: bool,
    view: View,
    clock: Callable[[], float],
) -> Summary:
    """Sets everything up, runs the demo, and clears up what is not to be kept."""
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        folder = stack.enter_context(_folder(keep=keep))
        database = stack.enter_context(open_database(dsn, folder / "postgres", keep=keep))
        migrate(database.dsn)
        db = stack.enter_context(
            psycopg.connect(database.dsn, autocommit=True, prepare_threshold=None)
        )
        files = folder / "files"
        files.mkdir(mode=0o700)
        interrupts.hold()
        stack.enter_context(_tables(db, keep=keep))
        follower = Follower(Queue(db), clock)
        _cancel_unfinished(db)
        stack.callback(_cancel_unfinished, db)
        team = stack.enter_context(Workers(database.dsn, files))
        demo = Demo(plan, db, follower, team, view, clock, interrupts)
        with view.shown():
            demo.tell("plain", _greeting(database, db))
            demo.run(workers)
        summary = Summary(plan.source, clock(), follower.jobs, database, keep, files)
    interrupts.check()
    return summary


class Demo:
    """The demo proper: what happens once everything is there."""

    def __init__(
        self,
        plan: Plan,
        db: Connection,
        follower: Follower,
        workers: Workers,
        view: View,
        clock: Callable[[], float],
        interrupts: Interrupts,
    ) -> None:
        """Takes the parts; nothing happens yet."""
        self._plan = plan
        self._db = db
        self._follower = follower
        self._workers = workers
        self._view = view
        self._clock = clock
        self._interrupts = interrupts
        self._syncs: dict[UUID, Followed] = {}

    def tell(self, tone: Tone, text: str) -> None:
        """Shows something that has just happened."""
        self._view.tell(Event(self._clock(), tone, text))

    def run(self, workers: int) -> None:
        """Syncs all workspaces, then exports the first one.

        Raises:
            WorkerEnded: a worker ended that was not killed.
            KeyboardInterrupt: it was interrupted.
        """
        for _ in range(workers):
            self._start_worker("")
        for job in carry_out(self._db, self._plan):
            self._syncs[job.sync.id] = self._follower.follow(job.job_id, job.workspace.name)
        pages = "" if self._plan.pages is None else f", {self._plan.pages} pages in all"
        self.tell("plain", f"{len(self._syncs)} sync jobs enqueued: {self._plan.source}{pages}")
        self._watch()
        if all(job.completed for job in self._follower.jobs):
            self._export()

    def _export(self) -> None:
        workspace = self._plan.workspaces[0]
        job_id = Queue(self._db).enqueue(
            "export", payload={"format": "csv"}, workspace_id=workspace.id, queue=QUEUE
        )
        self._follower.follow(job_id, workspace.name)
        self._watch()

    def _watch(self) -> None:
        """Follows all jobs until they are finished, and kills the worker that is to be killed."""
        while not self._follower.finished:
            self._interrupts.check()
            self._workers.check()
            happened = faults.sprung(self._db)
            for event in self._follower.look():
                self._view.tell(event)
            for fault in happened:
                self._answer(fault)
            self._view.show(self._clock(), self._follower)
            sleep(_LOOK_EVERY)

    def _answer(self, fault: Fault) -> None:
        """Kills the worker that waits for it, and starts another one."""
        if fault.kind != "kill" or fault.pid is None:
            return
        worker = self._workers.with_pid(fault.pid)
        if worker.killed:
            return
        worker.kill()
        job = self._syncs[fault.sync_id]
        text = f"{worker.name} (pid {worker.pid}), killed with SIGKILL on page {fault.page}"
        job.incidents.append(Incident("lost", self._clock(), text))
        self.tell("trouble", f"{job.workspace}: {text}")
        self._start_worker(" in its place")

    def _start_worker(self, why: str) -> None:
        worker = self._workers.start()
        self.tell("plain", f"{worker.name} started{why}, pid {worker.pid}")


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """Yields a new folder, and removes it unless it is to be kept and all went well."""
    if keep:
        folder = temporary_folder([], Account.for_server())  # a server is to reach it too
    else:
        folder = Path(tempfile.mkdtemp(prefix="rowqueue-demo-"))
    try:
        yield folder
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _tables(db: Connection, *, keep: bool) -> Iterator[None]:
    """Makes the demo's tables, in a database where no other demo runs, and drops them again."""
    free = db.execute("select pg_try_advisory_lock(hashtext('rowqueue demo'))").fetchone()
    if not free or not free[0]:
        raise DemoError("another demo runs in this database")
    store.create(db)
    faults.create(db)
    try:
        yield
    finally:
        if not keep:
            with suppress(psycopg.OperationalError):
                store.drop(db)


def _cancel_unfinished(db: Connection) -> None:
    """Cancels what is in the demo's queue, its own jobs or those of a demo that was killed."""
    queue = Queue(db)
    unfinished = "select id from rowqueue.job where queue = %s and status in ('pending', 'running')"
    with suppress(psycopg.OperationalError):
        for (job_id,) in db.execute(unfinished, [QUEUE]).fetchall():
            with suppress(WrongState):
                if queue.cancel(job_id, reason="the demo was stopped") == "running":
                    queue.cancel(job_id)


def _greeting(database: Database, db: Connection) -> str:
    version = f"PostgreSQL {db.info.server_version // 10000}.{db.info.server_version % 10000}"
    if database.own:
        return f"{version} of its own on port {db.info.port}, schema installed"
    return f"{version} on {db.info.host}, schema up to date"


def _console() -> Console:
    """Returns a console on stdout; where that is no terminal, lines are as long as they are."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where the locale's encoding lacks a bar
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _ENDLESS
    return console


def _complain(message: str, code: int) -> int:
    print(f"rowqueue: {message}", file=sys.stderr)
    return code
