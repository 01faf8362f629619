"""Producers: they enqueue in every way there is, and some of it is never to be seen."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import psycopg

from rowqueue import NewJob, calls, client
from torture import mix
from torture.line import Connection, Left, Line, going_on
from torture.scene import Actor, Part, Scene, Tally

_HOT_KEYS = 12
_MOST_AT_ONCE = 300
_LOOK_EVERY = 20
_PAUSE = 0.1

Job = dict[str, Any]


class Producer(Actor):
    """Makes jobs until its quota is done."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Goes on where its former life was cut off."""
        super().__init__(scene, part)
        self._line = Line(scene.proxied, f"producer {part.process}", self.leaving)
        self._hot_line = Line(scene.proxied, f"hot {part.process}", self.leaving)
        self._rival = Line(scene.proxied, f"producer {part.process} rival", self.leaving)
        self._rivals = ThreadPoolExecutor(1)
        self._tally = Tally(scene, part.name)
        self._numbers = itertools.count(1)

    def run(self) -> None:
        """Produces; returns when the quota is done, or on SIGTERM."""
        ways = {
            self._many: 50,
            self._single: 20,
            self._several: 10,
            self._hot: 10,
            self._taken_back: 4,
            self._late: 3,
            self._duel: 3,
        }
        for turn in itertools.count():
            if self._tally.count >= self.part.quota or self.leaving.is_set():
                return
            if turn % _LOOK_EVERY == 0:
                self._wait_for_room()
            [way] = self.random.choices(list(ways), list(ways.values()))
            with going_on():
                way()

    def _wait_for_room(self) -> None:
        """Waits while there is more to do than the run wants to see at once."""
        most = self.scene.backlog
        while not self.leaving.is_set():
            with going_on():
                query = "select count(*) from (select from rowqueue.jobs_live limit %s) as j"
                row = self._line.get().execute(query, [most]).fetchone()
                if row is not None and row[0] < most:
                    return
            self.leaving.wait(_PAUSE)

    def _key(self) -> str:
        return f"{self.part.process}:{next(self._numbers)}"

    def _draw(self) -> Job:
        return mix.draw(self.random, self._key())

    def _single(self) -> None:
        job = self._draw()
        connection = self._line.get()
        with self.history.call("enqueue", **_fields(job)) as call:
            call.reply(job=_enqueue(connection, job))
        self._tally.add(1)

    def _many(self) -> None:
        jobs = [self._draw() for _ in range(self.random.randint(1, _MOST_AT_ONCE))]
        if self.random.random() < 0.1:  # some with keys, in an order of their own
            for job in self.random.sample(jobs, min(len(jobs), 5)):
                job["unique_key"] = f"hot-{self.random.randrange(_HOT_KEYS)}"
        connection = self._line.get()
        with self.history.call("enqueue_many", items=[_fields(job) for job in jobs]) as call:
            made = client.run(connection, calls.enqueue_many(cast(list[NewJob], jobs)))
            call.reply(items=[{"job": one.id, "created": one.created} for one in made])
        self._tally.add(sum(one.created for one in made))

    def _several(self) -> None:
        """Some in one transaction, which others see at once or not at all."""
        self._in_a_transaction(self.random.randint(2, 8))

    def _late(self) -> None:
        """A commit long after the tickets were drawn: others overtake it."""
        self._in_a_transaction(self.random.randint(1, 4), after=self.random.uniform(0.1, 1.5))

    def _taken_back(self) -> None:
        """Jobs that never were."""
        self._in_a_transaction(self.random.randint(1, 5), undo=True)

    def _in_a_transaction(self, number: int, after: float = 0.0, undo: bool = False) -> None:
        jobs = [self._draw() for _ in range(number)]
        connection = self._line.get()
        connection.isolation_level = self.random.choice([None, *psycopg.IsolationLevel])
        with self.history.call("enqueue", items=[_fields(job) for job in jobs]) as call:
            with connection.transaction(force_rollback=undo):
                made = [_enqueue(connection, job) for job in jobs]
                self.leaving.wait(after)
            call.reply(items=[{"job": job_id} for job_id in made])
            if undo:
                call.undone()
        self._tally.add(0 if undo else number)

    def _hot(self) -> None:
        """A key that all producers use at once; what is not known to have arrived is sent again."""
        self._until_it_arrives(self._hot_line, f"hot-{self.random.randrange(_HOT_KEYS)}")
        self._tally.add(1)

    def _until_it_arrives(self, line: Line, unique_key: str) -> None:
        resent: str | None = None
        while True:
            job = {**mix.of_type(self.random, self._key(), "plain"), "unique_key": unique_key}
            job.pop("workspace_id", None)
            fields = _fields(job) | ({"resent": resent} if resent else {})
            connection = line.get()
            try:
                with self.history.call("enqueue", **fields) as call:
                    call.reply(job=_enqueue(connection, job))
            except psycopg.OperationalError:
                resent = fields["key"]
            else:
                return

    def _duel(self) -> None:
        """Two transactions with one key: the second waits for the first, which may be undone."""
        unique_key = f"duel-{self._key()}"
        undo = self.random.random() < 0.5
        job = {**self._draw(), "unique_key": unique_key}
        job.pop("workspace_id", None)
        job["job_type"] = "plain"
        connection = self._line.get()
        with self.history.call("enqueue", **_fields(job)) as call:
            with connection.transaction(force_rollback=undo):
                made = _enqueue(connection, job)
                rival = self._rivals.submit(self._until_it_arrives, self._rival, unique_key)
                self._until_it_waits(connection, rival.done)
            call.reply(job=made)
            if undo:
                call.undone()
        rival.result()
        self._tally.add(1)

    def _until_it_waits(self, connection: Connection, is_done: Callable[[], bool]) -> None:
        own = connection.info.backend_pid
        query = (
            "select exists (select from pg_locks as l"
            " where not l.granted and %s = any(pg_blocking_pids(l.pid)))"
        )
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not is_done():
            if connection.execute(query, [own]).fetchone() == (True,):
                return
            self.leaving.wait(0.002)


def _fields(job: Job) -> Job:
    """Returns what the history says of a job: all but its payload, and its key."""
    return {"key": job["payload"]["key"], **{k: v for k, v in job.items() if k != "payload"}}


def _enqueue(connection: Connection, job: Job) -> Any:
    return client.run(connection, calls.enqueue(**job))


def play(scene: Scene, part: Part) -> None:
    """Runs a producer's life."""
    with contextlib.suppress(Left):
        Producer(scene, part).run()
