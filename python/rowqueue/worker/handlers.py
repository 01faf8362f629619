"""Which function runs which job type, and how."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rowqueue.worker.job import Job

Function = Callable[[Job], Any]


class Mode(Enum):
    """Where a handler runs, and so how it can be stopped."""

    COROUTINE = "coroutine"
    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that does the jobs of one type."""

    job_type: str
    function: Function
    mode: Mode

    def check(self) -> None:
        """Raises `ValueError` if a child process could not find the function by its name."""
        if self.mode is Mode.PROCESS:
            try:
                pickle.dumps(self.function)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise ValueError(
                    f"the handler of {self.job_type!r} must be a function of a module, "
                    f"for a child process to find it: {error}"
                ) from None


def mode_of(function: Function, *, process: bool) -> Mode:
    """Returns how a function is to be run."""
    if process:
        return Mode.PROCESS
    return Mode.COROUTINE if is_coroutine_function(function) else Mode.THREAD


def is_coroutine_function(function: Function) -> bool:
    """Whether a call of `function` has to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object may have an async __call__
    )
