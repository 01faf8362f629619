"""Finding the worker that ``MODULE:WORKER`` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from rowqueue.worker.outcome import describe
from rowqueue.worker.worker import Worker


class TargetError(ValueError):
    """There is no worker of that name; the message says what is wrong with it."""


def find_worker(target: str) -> Worker:
    """Returns the worker that ``package.module:attribute`` names.

    Modules are looked for in the working directory, too.

    Raises:
        TargetError: the module cannot be imported, or has no such worker.
    """
    module_name, colon, attribute = target.partition(":")
    if not (colon and module_name and attribute):
        raise TargetError(f"{target!r} is not of the form MODULE:WORKER, such as myapp.jobs:worker")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise TargetError(f"cannot import module {module_name!r}: {describe(error)}") from error
    worker = getattr(module, attribute, None)
    if worker is None:
        raise TargetError(f"module {module_name!r} has no {attribute!r}")
    if not isinstance(worker, Worker):
        raise TargetError(f"{target!r} is a {type(worker).__name__}, not a rowqueue Worker")
    return worker
