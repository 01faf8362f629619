"""A small run within one process: producers, workers and a keeper, and what befalls them.

It takes a few seconds, and needs no server of its own: the faults are those that a worker can have
without anybody's help. It stalls until its leases are over and then goes on, dies with jobs in
hand, loses the reply to a commit, reports with a token that is spent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from support.calls import value
from torture.broken.habits import Habits
from torture.broken.producer import Producer
from torture.broken.worker import Worker
from torture.checker import Facts
from torture.history import History

PRODUCERS = 2
WORKERS = 3


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who takes part, and where.

    Attributes:
        dsn: the database, with schema and flight recorder.
        folder: for the histories.
        seed: of all dice, and part of all names: several runs may share database and folder.
        jobs: how many there are to be, about.
        habits: what the clients get wrong, if anything.
        patience: seconds after which it is given up that all will be done.
    """

    dsn: str
    folder: Path
    seed: str
    jobs: int
    habits: Habits
    patience: float = 30.0

    def run(self) -> bool:
        """Lets them work until all is done; returns whether that came to pass."""
        with ThreadPoolExecutor(PRODUCERS + WORKERS + 1) as threads:
            deadline = time.monotonic() + self.patience
            producing = [threads.submit(self._produce, n) for n in range(PRODUCERS)]

            def more_to_come() -> bool:
                return not all(producer.done() for producer in producing)

            def in_time() -> bool:
                return time.monotonic() < deadline

            working = [threads.submit(self._work, n, more_to_come, in_time) for n in range(WORKERS)]
            keeping = threads.submit(self._keep, lambda: not all(w.done() for w in working))
            for each in (*producing, *working, keeping):
                each.result()
            drained = in_time()
        Facts(seed=self.seed).write(self.folder)
        return drained

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn, autocommit=True, row_factory=namedtuple_row)

    def _dice(self, who: str) -> random.Random:
        return random.Random(f"{self.seed} {who}")

    def _produce(self, number: int) -> None:
        name = f"producer-{self.seed}-{number}"
        with self._connect() as db, History.open(self.folder, name) as history:
            producer = Producer(db, history, name, self._dice(name), self.habits)
            while producer.made < self.jobs / PRODUCERS:
                producer.step()

    def _work(
        self, number: int, more_to_come: Callable[[], bool], in_time: Callable[[], bool]
    ) -> None:
        name = f"worker-{self.seed}-{number}"
        with self._connect() as db:
            worker = Worker(db, self.folder, name, self._dice(name), self.habits)
            while more_to_come():
                worker.step()
            while _any_live(db) and in_time():
                worker.step(calm=True)
            worker.close()

    def _keep(self, goes_on: Callable[[], bool]) -> None:
        name = f"keeper-{self.seed}"
        with self._connect() as db, History.open(self.folder, name) as history:
            dice = self._dice(name)
            while goes_on():
                time.sleep(dice.random() / 50)
                with suppress(psycopg.Error), history.call("tick"):  # the history has it
                    value(db, "tick")
                if dice.random() < 0.02:
                    with history.call("purge_finished") as call:
                        removed = value(db, "purge_finished", older_than="1 second", max_jobs=20)
                        call.reply(removed=removed)


def _any_live(db: psycopg.Connection[Any]) -> bool:
    return db.execute("select from rowqueue.jobs_live limit 1").fetchone() is not None
