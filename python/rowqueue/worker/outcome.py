"""How a job ended, in the form in which it is reported: made where the handler ran.

An outcome is plain data and can be sent from a child process to the worker.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rowqueue.errors import NotStorable
from rowqueue.jsontext import encode

if TYPE_CHECKING:
    from rowqueue.worker.handlers import Function
    from rowqueue.worker.job import Job

logger = logging.getLogger("rowqueue")

MAX_ERROR = 8000
"""Characters of an error text that are passed on; the database keeps the first 8 KiB."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; `result` is JSON text."""

    result: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed; the database decides whether there is another."""

    error: str


@dataclass(frozen=True, slots=True)
class Released:
    """The job goes back unharmed: its attempt is not used up."""

    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Settled:
    """There is nothing left to report."""

    reason: str


Outcome = Completed | Failed | Released | Settled

NOTHING = Completed(None)
BY_HANDLER = Settled("completed in its handler's transaction")
LOST = Settled("lost its lease: its result is dropped")


def perform(job: Job, function: Function) -> Outcome:
    """Runs a plain handler to its end, whatever it raises."""
    try:
        return of_return(job, function(job))
    except BaseException as error:
        return of_error(job, error)


def of_return(job: Job, value: object) -> Outcome:
    """Returns the outcome of a handler that returned `value`."""
    if job.completed_by_handler:
        return BY_HANDLER
    if value is None:
        return NOTHING
    try:
        return Completed(encode("result", value))
    except NotStorable as error:
        return Failed(describe(error))


def of_error(job: Job, error: BaseException) -> Failed:
    """Returns the outcome of a handler that raised `error`, which the log has at DEBUG."""
    logger.debug("%s: its handler raised", job.id, exc_info=error)
    return Failed(describe(error))


def describe(error: BaseException) -> str:
    """Returns "ExceptionType: message", fit to be stored."""
    if isinstance(error, asyncio.CancelledError):
        return "CancelledError: the handler was cancelled from within"
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be had)"
    name = type(error).__qualname__
    text = f"{name}: {message}" if message else name
    return storable(text[:MAX_ERROR])


def storable(text: str) -> str:
    """Returns `text` without what Postgres cannot store: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
