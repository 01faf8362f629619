"""A crowd of producers, workers and tickers, who do at random whatever a client may do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from races.stage import Connect
from support.calls import claim, rows, value

Db = psycopg.Connection[Any]
QUEUES = ("one", "two", "three")
ISOLATION = ("read committed", "read committed", "repeatable read", "serializable")
RARELY, SOMETIMES, OFTEN = 0.1, 0.3, 0.6


@dataclass
class Account:
    """What was promised and what came of it.

    Attributes:
        committed: the jobs whose enqueue was committed.
        undone: the jobs whose enqueue was rolled back.
        completed: how often each job's completion was committed.
        tokens: how often each token was handed out by a committed claim.
    """

    committed: set[UUID] = field(default_factory=set)
    undone: set[UUID] = field(default_factory=set)
    completed: Counter[UUID] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)

    def __iadd__(self, other: Account) -> Account:
        self.committed |= other.committed
        self.undone |= other.undone
        self.completed += other.completed
        self.tokens += other.tokens
        return self


class Crowd:
    """Producers, workers and tickers, each in a thread of its own."""

    def __init__(self, connect: Connect, seed: str, jobs: int) -> None:
        """Prepares a crowd that enqueues about so many jobs."""
        self._connect = connect
        self._seed = seed
        self._jobs = jobs
        self._all_enqueued = Event()
        self._all_done = Event()

    def run(self) -> Account:
        """Lets them work until every job that was committed is done."""
        total = Account()
        with ThreadPoolExecutor(8) as threads:
            tickers = [threads.submit(self._tick, self._dice(f"ticker {n}")) for n in range(2)]
            workers = [threads.submit(self._work, self._dice(f"worker {n}")) for n in range(3)]
            producers = [
                threads.submit(self._produce, self._dice(f"producer {n}")) for n in range(3)
            ]
            try:
                for producer in producers:
                    total += producer.result()
                self._all_enqueued.set()
                for worker in workers:
                    total += worker.result()
            finally:
                self._all_enqueued.set()
                self._all_done.set()
            for ticker in tickers:
                ticker.result()
        return total

    def _dice(self, who: str) -> random.Random:
        return random.Random(f"{self._seed} {who}")

    def _produce(self, dice: random.Random) -> Account:
        account = Account()
        tills = [Till(self._connect(), dice, account) for _ in range(4)]
        while len(account.committed) + len(account.undone) < self._jobs / 3:
            dice.choice(tills).step()
        for till in tills:
            till.close()
        return account

    def _work(self, dice: random.Random) -> Account:
        account = Account()
        benches = [Bench(self._connect(), dice, account) for _ in range(2)]
        observer = self._connect()
        while not self._all_enqueued.is_set() or _any_live(observer):
            dice.choice(benches).step()
        return account

    def _tick(self, dice: random.Random) -> None:
        session = self._connect()
        while not self._all_done.wait(dice.random() / 50):
            how = dice.choice(["autocommit", "autocommit", *ISOLATION])
            if how == "autocommit":
                value(session, "tick")
                continue
            session.execute(f"begin isolation level {how}")
            try:
                value(session, "tick")
                session.execute("rollback" if dice.random() < SOMETIMES else "commit")
            except psycopg.errors.SerializationFailure:
                session.execute("rollback")


class Till:
    """A producer's session: it takes one step at a time, so that its transactions end late."""

    _numbers: Iterator[int] = iter(range(1_000_000))

    def __init__(self, session: Db, dice: random.Random, account: Account) -> None:
        self._session = session
        self._dice = dice
        self._account = account
        self._savepoints: list[list[UUID]] = []
        self._prepared: dict[str, list[UUID]] = {}

    def step(self) -> None:
        """Does the next thing."""
        if not self._savepoints:
            self._dice.choice([self._enqueue_at_once, self._begin, self._settle])()
            return
        steps: list[Callable[[], None]] = [
            self._enqueue,
            self._enqueue,
            self._savepoint,
            self._rollback_to_savepoint,
            lambda: self._end("commit"),
            lambda: self._end("commit" if self._dice.random() < OFTEN else "rollback"),
            self._prepare,
        ]
        try:
            self._dice.choice(steps)()
        except psycopg.errors.SerializationFailure:
            self._end("rollback")

    def close(self) -> None:
        """Ends whatever is open."""
        if self._savepoints:
            self._end("rollback")
        while self._prepared:
            self._settle()

    def _begin(self) -> None:
        self._session.execute(f"begin isolation level {self._dice.choice(ISOLATION)}")
        self._savepoints = [[]]
        if self._dice.random() < SOMETIMES:
            # From now on its snapshot ages, where it has one for all its statements.
            self._session.execute("select count(*) from rowqueue.lanes")

    def _enqueue_at_once(self) -> None:
        self._account.committed.update(self._enqueued())

    def _enqueue(self) -> None:
        self._savepoints[-1] += self._enqueued()

    def _enqueued(self) -> list[UUID]:
        dice = self._dice
        jobs = [
            {
                "job_type": "sync",
                "queue": dice.choice(QUEUES),
                "priority": dice.randrange(2),
                "max_attempts": 1000,
            }
            for _ in range(dice.choice([1, 1, 3, 10]))
        ]
        if dice.random() < SOMETIMES:
            delay = f"{dice.randrange(200)} ms"
            [(due,)] = self._session.execute("select clock_timestamp() + %s", [delay])
            for job in jobs:
                job["run_after"] = due.isoformat()
        return [job.id for job in rows(self._session, "enqueue_many", jobs=Jsonb(jobs))]

    def _savepoint(self) -> None:
        self._session.execute(f"savepoint s{len(self._savepoints)}")
        self._savepoints.append([])

    def _rollback_to_savepoint(self) -> None:
        if len(self._savepoints) > 1:
            undone = self._savepoints.pop()
            self._session.execute(f"rollback to savepoint s{len(self._savepoints)}")
            self._account.undone.update(undone)

    def _end(self, how: str) -> None:
        jobs = [job for savepoint in self._savepoints for job in savepoint]
        self._session.execute(how)
        self._savepoints = []
        self._note(how, jobs)

    def _prepare(self) -> None:
        if len(self._prepared) == 1:
            return
        name = f"till {next(self._numbers)}"
        jobs = [job for savepoint in self._savepoints for job in savepoint]
        self._session.execute(f"prepare transaction '{name}'")
        self._savepoints = []
        self._prepared[name] = jobs

    def _settle(self) -> None:
        if self._prepared:
            name, jobs = self._prepared.popitem()
            how = "commit" if self._dice.random() < OFTEN else "rollback"
            self._session.execute(f"{how} prepared '{name}'")
            self._note(how, jobs)

    def _note(self, how: str, jobs: list[UUID]) -> None:
        (self._account.committed if how == "commit" else self._account.undone).update(jobs)


class Bench:
    """A worker's session: its claims and its completions may end late, or be rolled back."""

    def __init__(self, session: Db, dice: random.Random, account: Account) -> None:
        self._session = session
        self._dice = dice
        self._account = account
        self._claimed: list[Any] = []
        self._in_transaction = False

    def step(self) -> None:
        """Does the next thing."""
        try:
            if self._in_transaction:
                self._end_claim()
            elif self._claimed:
                self._finish()
            else:
                self._claim()
        except psycopg.errors.SerializationFailure:
            self._session.execute("rollback")
            self._in_transaction = False
            self._claimed = []

    def _claim(self) -> None:
        queues = list(QUEUES) if self._dice.random() < OFTEN else [self._dice.choice(QUEUES)]
        isolation = self._dice.choice(ISOLATION) if self._dice.random() < RARELY else ISOLATION[0]
        self._session.execute(f"begin isolation level {isolation}")
        self._in_transaction = True
        self._claimed = claim(
            self._session, queues=queues, max_jobs=self._dice.choice([1, 5, 20, 50]), lease="1 hour"
        )

    def _end_claim(self) -> None:
        how = "rollback" if self._dice.random() < RARELY else "commit"
        self._session.execute(how)
        self._in_transaction = False
        if how == "rollback":
            self._claimed = []
        self._account.tokens.update(job.token for job in self._claimed)

    def _finish(self) -> None:
        job = self._claimed[0]
        held = {"job_id": job.id, "token": job.token}
        if self._dice.random() < RARELY:
            rows(self._session, "release", **held)
            self._claimed = self._claimed[1:]
        elif self._dice.random() < RARELY:
            retry_after = f"{self._dice.randrange(50)} ms"
            rows(self._session, "fail_with_backoff", **held, error="", retry_after=retry_after)
            self._claimed = self._claimed[1:]
        else:
            self._complete()

    def _complete(self) -> None:
        undo = self._dice.random() < RARELY
        with self._session.transaction(force_rollback=undo):
            told = rows(
                self._session,
                "complete_many",
                job_ids=[job.id for job in self._claimed],
                tokens=[job.token for job in self._claimed],
            )
        if not undo:
            self._account.completed.update(row.id for row in told if row.outcome == "completed")
            self._claimed = []


def _any_live(session: Db) -> bool:
    return session.execute("select from rowqueue.jobs_live limit 1").fetchone() is not None
