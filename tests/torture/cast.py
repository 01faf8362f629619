"""Who takes part: each role's name, what plays it, and how many there are."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection

from torture import canceller, dba, keeper, producer, raw_worker, worker
from torture.scene import Part, Scene

ROLES: dict[str, Callable[[Scene, Part], None]] = {
    "producer": producer.play,
    "worker": worker.play,
    "raw": raw_worker.play,
    "canceller": canceller.play,
    "keeper": keeper.play,
    "dba": dba.play,
}

NUMBERS = {"producer": 2, "worker": 2, "raw": 2, "canceller": 1, "keeper": 2, "dba": 1}


def act(scene: Scene, part: Part, leash: Connection) -> None:
    """Plays a part, in a process of its own. What it says goes to a file beside its history.

    Args:
        scene: the run.
        part: who it is.
        leash: closes when the conductor is gone, however that ended; then this process ends too.
    """
    threading.Thread(target=_heel, args=[leash], daemon=True).start()
    with (scene.folder / f"{part.name}.log").open("a") as log:
        faulthandler.enable(log)
        with redirect_stderr(log), redirect_stdout(log):
            try:
                ROLES[part.role](scene, part)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                raise


def _heel(leash: Connection) -> None:
    leash.poll(None)
    os._exit(1)
