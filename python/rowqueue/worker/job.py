"""The job as its handler sees it."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, overload
from uuid import UUID

import psycopg

from rowqueue import client
from rowqueue.calls import Call, complete

Number = int | float | Decimal

# What Postgres writes has no space around it, which `json.loads` would look for.
_decode = json.JSONDecoder().raw_decode


class Report(NamedTuple):
    """How far a handler says it is."""

    current: Number
    total: Number | None
    message: str | None


class Job:
    """A claimed job, in the hands of its handler.

    Attributes:
        id: the job.
        token: the fencing token of this claim.
        workspace_id: the workspace that it belongs to, or None.
        job_type: what to do.
        queue: the queue it came from.
        priority: its priority.
        attempts: which attempt this is, from 1.
        max_attempts: how many it gets.
        timeout_ms: how long this attempt may take, counted from the claim, in milliseconds.
        created_at: when it was enqueued.
        alone: whether an earlier attempt may have killed its worker: it runs by itself.
        cancelled: whether to stop: a cancellation was requested, the time is up, the lease is
            lost or the worker ends. Look at it now and then, and raise something to stop.
        claimed_at: when the worker claimed it, on the monotonic clock.
        report: the latest that the handler reported.
        written: the latest report that the database has.
        completed_by_handler: whether `complete_in` was called.
    """

    # One is made for every job, so it is lean: slots, and no work before somebody asks for it.
    __slots__ = (
        "_payload",
        "_payload_json",
        "alone",
        "attempts",
        "cancelled",
        "claimed_at",
        "completed_by_handler",
        "created_at",
        "id",
        "job_type",
        "max_attempts",
        "priority",
        "queue",
        "refusal",
        "report",
        "timeout_ms",
        "token",
        "workspace_id",
        "written",
    )

    def __init__(
        self,
        id: UUID,
        token: int,
        queue: str,
        job_type: str,
        workspace_id: UUID | None,
        payload_json: str,
        priority: int,
        attempts: int,
        max_attempts: int,
        timeout_ms: int,
        created_at: datetime,
        lease_until: datetime,
        alone: bool,
    ) -> None:
        """Takes the fields of a `rowqueue.jobs.ClaimedJob`, in their order."""
        self.id = id
        self.token = token
        self.queue = queue
        self.job_type = job_type
        self.workspace_id = workspace_id
        self.priority = priority
        self.attempts = attempts
        self.max_attempts = max_attempts
        self.timeout_ms = timeout_ms
        self.created_at = created_at
        self.alone = alone
        self.cancelled = False
        self.completed_by_handler = False
        self.claimed_at = 0.0
        self.report: Report | None = None
        self.written: Report | None = None
        self.refusal: str | None = None
        self._payload_json: str | None = payload_json
        self._payload: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.job_type!r} attempt {self.attempts}/{self.max_attempts}>"

    @property
    def payload(self) -> dict[str, Any]:
        """What to do it with.

        Raises:
            ValueError, RecursionError: it is JSON that Python cannot decode.
        """
        if self._payload_json is not None:
            self._payload, _ = _decode(self._payload_json)
            self._payload_json = None
        return self._payload

    def report_progress(
        self,
        current: Number,
        total: Number | None = None,
        message: str | None = None,
    ) -> bool:
        """Notes how far the job is.

        It may be called as often as one likes: it only leaves a note, which the worker writes
        down a few times a second, and a last time before the job ends.

        Args:
            current: how much is done, 0 to 1e15.
            total: how much there is to do, or None while that is not known.
            message: a line for people; the database keeps the first 1024 bytes.

        Returns:
            True: go on. False: stop soon, see `cancelled`.

        Raises:
            TypeError, ValueError: these are no numbers, or the database refused an earlier report.
        """
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise ValueError(f"an earlier progress report was refused: {refusal}")
        _check_number("current", current)
        if total is not None:
            _check_number("total", total)
        if message is not None and not isinstance(message, str):
            raise TypeError(f"message must be a string, not {type(message).__name__}")
        self.report = Report(current, total, message)
        return not self.cancelled

    @overload
    def complete_in(self, connection: psycopg.Connection[Any], result: object = None) -> None: ...

    @overload
    def complete_in(
        self, connection: psycopg.AsyncConnection[Any], result: object = None
    ) -> Awaitable[None]: ...

    def complete_in(
        self,
        connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
        result: object = None,
    ) -> Awaitable[None] | None:
        """Completes the job in the handler's own transaction: its effects count exactly once.

        What the transaction wrote and the completion are committed together or not at all: if
        the job was handed to another worker meanwhile, this raises and the transaction rolls
        back. Call it last, on a connection that is not in autocommit; then commit and return.
        The worker completes the job no more, and what the handler returns is ignored. If the
        transaction doesn't commit, raise: the attempt has failed.

        Args:
            connection: the connection whose transaction did the work. With an AsyncConnection,
                await the call.
            result: the job's result, any JSON value.

        Raises:
            rowqueue.errors.LeaseLost: another worker may have the job. Let it through.
            rowqueue.errors.NotStorable: the result is not what JSON or the database can hold.

        SQL: rowqueue.complete, running -> completed.
        """
        call = complete(self.id, token=self.token, result=result)
        self.completed_by_handler = True
        if isinstance(connection, psycopg.AsyncConnection):
            return self._complete_async(connection, call)
        try:
            client.run(connection, call)
        except BaseException:
            self.completed_by_handler = False
            raise
        return None

    async def _complete_async(
        self, connection: psycopg.AsyncConnection[Any], call: Call[None]
    ) -> None:
        try:
            await client.run_async(connection, call)
        except BaseException:
            self.completed_by_handler = False
            raise


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Number):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number")
