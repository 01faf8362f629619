"""Ticks and reaps, beside the workers that do so too."""

from __future__ import annotations

import contextlib
from typing import Any

from rowqueue import calls, client
from rowqueue.calls import Call
from torture.line import Left, Line, going_on
from torture.observed import told
from torture.scene import Actor, Part, Scene

_PAUSE = 0.15


class Keeper(Actor):
    """Does what cron would do, at odd times."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Connects straight to the server, or through the proxy: every second one."""
        super().__init__(scene, part)
        dsn = scene.dsn if part.number % 2 else scene.proxied
        self._line = Line(dsn, f"keeper {part.process}", self.leaving)

    def run(self) -> None:
        """Keeps house until SIGTERM."""
        while not self.leaving.wait(_PAUSE * 2 * self.random.random()):
            ways: tuple[tuple[str, Call[Any]], ...] = (
                ("tick", calls.tick()),
                ("reap_stuck", calls.reap_stuck(self.random.choice((1, 10, 1000)))),
            )
            function, call = self.random.choice(ways)
            with going_on(), self.history.call(function) as noted:
                result = client.run(self._line.get(), call)
                noted.reply(**told(function, call, result))


def play(scene: Scene, part: Part) -> None:
    """Runs a keeper's life."""
    with contextlib.suppress(Left):
        Keeper(scene, part).run()
