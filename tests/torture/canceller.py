"""Cancels jobs that it sees, some of them twice."""

from __future__ import annotations

import contextlib

from rowqueue import calls, client
from torture.line import Left, Line, going_on
from torture.scene import Actor, Part, Scene

_PAUSE = 0.2
_SHARE = 0.1


class Canceller(Actor):
    """Looks at the newest live jobs and cancels a few."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Connects through the proxy."""
        super().__init__(scene, part)
        self._line = Line(scene.proxied, f"canceller {part.process}", self.leaving)

    def run(self) -> None:
        """Cancels until SIGTERM."""
        while not self.leaving.wait(_PAUSE * 2 * self.random.random()):
            with going_on():
                self._cancel_some(self.random.choice(("pending", "running")))

    def _cancel_some(self, status: str) -> None:
        jobs = client.run(self._line.get(), calls.list_jobs(status=status, max_jobs=40))
        for job in jobs:
            if self.random.random() < _SHARE and job.job_type not in ("poison", "block"):
                for _ in range(self.random.choice((1, 1, 2))):
                    with going_on(), self.history.call("cancel", job=job.id) as call:
                        call.reply(status=client.run(self._line.get(), calls.cancel(job.id)))


def play(scene: Scene, part: Part) -> None:
    """Runs a canceller's life."""
    with contextlib.suppress(Left):
        Canceller(scene, part).run()
