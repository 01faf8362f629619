"""Does by hand what a DBA may do while everything is under way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta

import psycopg

from rowqueue import calls, client, schema
from rowqueue.migrate import migrate
from torture.line import Left, Line, going_on
from torture.observed import told
from torture.scene import Actor, Part, Scene, in_rounds

_PAUSE = 0.6

_RESET_ALL = """
update rowqueue.jobs set status = 'pending', started_at = null
where status = 'running' and started_at < clock_timestamp() - interval '1 second'
returning id"""
"""The seed's statement for stuck jobs, with a shorter patience."""

_RESET_ONE = """
update rowqueue.jobs set status = 'pending', started_at = null
where id = %s and status = 'running'
returning id"""


class Dba(Actor):
    """One deed after another, each of them once in every round."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Connects straight to the server."""
        super().__init__(scene, part)
        self._line = Line(scene.dsn, f"dba {part.process}", self.leaving)
        deeds: dict[str, Callable[[], None]] = {
            "reset": self._reset_all,
            "reset_one": self._reset_one,
            "retry": self._retry,
            "purge": self._purge,
            "migrate": self._migrate,
            "snapshot": self._hold_a_snapshot,
            "vacuum": self._vacuum,
            "reindex": self._reindex,
        }
        self._deeds = [deed for name, deed in deeds.items() if name in scene.faults]

    def run(self) -> None:
        """Goes on until SIGTERM."""
        if not self._deeds:
            self.leaving.wait()
        for deed in in_rounds(self._deeds, self.random):
            if self.leaving.wait(_PAUSE * 2 * self.random.random()):
                return
            with going_on():
                deed()

    def _reset_all(self) -> None:
        """Sets running jobs back to pending, whoever holds them."""
        connection = self._line.get()
        with self.history.call("hand", kind="reset") as call:
            rows = connection.execute(_RESET_ALL).fetchall()
            call.reply(items=[{"job": row[0]} for row in rows])

    def _reset_one(self) -> None:
        connection = self._line.get()
        running = client.run(connection, calls.list_jobs(status="running", max_jobs=50))
        for job in self.random.sample(running, min(3, len(running))):
            with self.history.call("hand", kind="reset") as call:
                rows = connection.execute(_RESET_ONE, [job.id]).fetchall()
                call.reply(items=[{"job": row[0]} for row in rows])

    def _retry(self) -> None:
        """Puts some back that were cancelled or failed; not what would only kill workers again."""
        connection = self._line.get()
        status = self.random.choice(("failed", "cancelled"))
        finished = client.run(connection, calls.list_jobs(status=status, max_jobs=50))
        for job in finished:
            if job.job_type != "poison" and self.random.random() < 0.2:
                with going_on(), self.history.call("retry", job=job.id):
                    client.run(self._line.get(), calls.retry(job.id))

    def _purge(self) -> None:
        """Removes what has been finished for a while."""
        call = calls.purge_finished(timedelta(seconds=10), max_jobs=self.random.randint(1, 500))
        with self.history.call("purge_finished") as noted:
            noted.reply(
                **told("purge_finished", call, client.run(self._line.get(), call)),
            )

    def _migrate(self) -> None:
        """Runs the migrations again, or installs what is installed."""
        with self.history.call("migrate"):
            if self.random.random() < 0.5:
                migrate(self.scene.dsn)
            else:
                self._line.get().execute(schema.render().encode())

    def _hold_a_snapshot(self) -> None:
        """Holds a snapshot, as a report or a dump does, and looks at all there is."""
        self.history.note("fault", key="snapshot")
        with psycopg.connect(self.scene.dsn, application_name="dba snapshot") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("select count(*) from rowqueue.jobs_live")
            self.leaving.wait(self.random.uniform(2, 6))

    def _vacuum(self) -> None:
        self.history.note("fault", key="vacuum")
        statement = self.random.choice(("vacuum", "vacuum (analyze)", "analyze"))
        self._line.get().execute(f"{statement} rowqueue.jobs_live".encode())

    def _reindex(self) -> None:
        self.history.note("fault", key="reindex")
        self._line.get().execute("reindex table concurrently rowqueue.jobs_live")


def play(scene: Scene, part: Part) -> None:
    """Runs a DBA's life."""
    with contextlib.suppress(Left):
        Dba(scene, part).run()
