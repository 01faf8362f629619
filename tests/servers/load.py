"""Work under way while servers fail: who enqueues, who claims and completes, and what they saw.

What a call says decides what is known: its answer came (acknowledged), or the connection broke
before (unknown: it may have happened or not).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row

from rowqueue.worker import Job
from support.calls import Session, claim, enqueue, rows
from support.waiting import eventually
from support.workers import quick_worker, working

_LEASE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim whose answer came."""

    job_id: UUID
    token: int


@dataclass(slots=True)
class Seen:
    """What the clients saw.

    Attributes:
        enqueued: acknowledged jobs, by their number in the payload.
        unknown: numbers of jobs whose enqueue was broken off.
        claims: in the order in which the answers came.
        completed: acknowledged completions.
        errors: SQLSTATEs, or the class of error where there is none, with their counts.
    """

    enqueued: dict[str, UUID] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    completed: list[Claim] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What had become of it in the end.

    Attributes:
        enqueued: how many jobs were acknowledged.
        lost: how many of those are not there, or not completed.
        phantoms: jobs there whose enqueue nobody made, or that are there twice.
        undone: acknowledged completions that are not there.
        claims: how many claims were acknowledged.
        reused: tokens that were handed out twice.
        shrunk: claims whose token is not above an earlier one of the same job.
        errors: what the clients were told meanwhile.
    """

    enqueued: int
    lost: int
    phantoms: int
    undone: int
    claims: int
    reused: int
    shrunk: int
    errors: dict[str, int]

    @property
    def is_flawless(self) -> bool:
        """Whether nothing was lost, undone, invented or handed out twice."""
        return not (self.lost or self.phantoms or self.undone or self.reused or self.shrunk)


class Load:
    """Producers, a worker, and a client that speaks SQL, on one connection string."""

    def __init__(self, dsn: str) -> None:
        self.seen = Seen()
        self._dsn = dsn
        self._handled: list[UUID] = []
        self._fails: list[BaseException] = []

    @contextmanager
    def on(self, *, producers: int = 2) -> Iterator[Load]:
        """Works until the block ends; then whoever works still drains what is there."""
        worker = quick_worker(self._dsn, concurrency=4, lease=_LEASE)
        worker.handler("sync")(self._handle)
        enough, all_done = threading.Event(), threading.Event()
        client = threading.Thread(target=self._keep, args=[self._claim_and_complete, all_done])
        enqueuing = [
            threading.Thread(target=self._keep, args=[self._producer(n), enough])
            for n in range(producers)
        ]
        with working(worker):
            for thread in (client, *enqueuing):
                thread.start()
            try:
                yield self
                enough.set()
                for thread in enqueuing:
                    thread.join()
                self._until_all_is_done()
            finally:
                enough.set()
                all_done.set()
                for thread in (client, *enqueuing):
                    thread.join()
        if self._fails:
            raise self._fails[0]

    @property
    def progress(self) -> tuple[int, int, int]:
        """How many enqueues and completions were acknowledged, and how many jobs handled."""
        if self._fails:
            raise self._fails[0]
        return len(self.seen.enqueued), len(self.seen.completed), len(self._handled)

    def until_more(self) -> None:
        """Returns once ten more of each have been acknowledged: enough to have some to lose."""
        before = self.progress
        eventually(
            lambda: all(n >= b + 10 for n, b in zip(self.progress, before, strict=True)),
            within=60,
            what="work to go on",
        )

    def verdict(self, db: Session) -> Verdict:
        """Compares what was seen with what is there."""
        seen = self.seen
        there = db.execute(
            "select payload ->> 'n' as n, id, status, token from rowqueue.jobs"
        ).fetchall()
        completed = {(id, token) for _, id, status, token in there if status == "completed"}
        ended = {id for id, _ in completed}
        numbers = [n for n, *_ in there]
        known = seen.enqueued.keys() | seen.unknown
        newest: dict[UUID, int] = {}
        shrunk = 0
        for one in seen.claims:
            shrunk += one.token <= newest.get(one.job_id, 0)
            newest[one.job_id] = one.token
        return Verdict(
            enqueued=len(seen.enqueued),
            lost=sum(id not in ended for id in seen.enqueued.values()),
            phantoms=len(set(numbers) - known) + len(numbers) - len(set(numbers)),
            undone=sum((one.job_id, one.token) not in completed for one in seen.completed),
            claims=len(seen.claims),
            reused=len(seen.claims) - len({one.token for one in seen.claims}),
            shrunk=shrunk,
            errors=seen.errors,
        )

    def _connect(self) -> Session:
        return psycopg.connect(self._dsn, autocommit=True, row_factory=namedtuple_row)

    def _until_all_is_done(self) -> None:
        """Returns once no job is left to do."""
        with self._connect() as db:
            eventually(
                lambda: db.execute("select from rowqueue.jobs_live").fetchone() is None,
                within=60,
                what="the queue to be empty",
            )

    def _handle(self, job: Job) -> None:
        self._handled.append(job.id)
        self.seen.claims.append(Claim(job.id, job.token))

    def _producer(self, number: int) -> Callable[[Session], None]:
        made = 0

        def produce(db: Session) -> None:
            nonlocal made
            made += 1
            n = f"{number}:{made}"
            self.seen.unknown.add(n)
            queue = "by-hand" if made % 2 else "default"
            self.seen.enqueued[n] = enqueue(db, payload={"n": n}, queue=queue)
            self.seen.unknown.remove(n)

        return produce

    def _claim_and_complete(self, db: Session) -> None:
        claims = [
            Claim(job.id, job.token) for job in claim(db, 2, queues=["by-hand"], lease=_LEASE)
        ]
        self.seen.claims += claims
        for one in claims:
            rows(db, "complete", job_id=one.job_id, token=one.token)
            self.seen.completed.append(one)

    def _keep(self, turn: Callable[[Session], None], end: threading.Event) -> None:
        """Takes turns until the end, on a new connection after each loss."""
        try:
            while not end.is_set():
                try:
                    with self._connect() as db:
                        while not end.is_set():
                            turn(db)
                except psycopg.Error as error:
                    name = error.sqlstate or type(error).__name__
                    self.seen.errors[name] = self.seen.errors.get(name, 0) + 1
        except BaseException as error:
            self._fails.append(error)
