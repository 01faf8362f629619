"""Writes down what the package's own worker asks of the database, and may kill it meanwhile.

The worker is left as it is. What stands between it and its connections is replaced, in the process
of one actor: the functions that execute a call. Calls inside a transaction are left to whoever
opened that: an operation has ended when its commit was acknowledged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg
from psycopg import BaseConnection
from psycopg.pq import TransactionStatus

from rowqueue import client
from rowqueue.calls import Call
from rowqueue.worker import batch, finish, heartbeat
from torture.history import outcome_of
from torture.scene import Actor

Result = TypeVar("Result")

_FUNCTION = re.compile(r"rowqueue\.(\w+)\(")
_UNREMARKABLE = frozenset({"mark_idle", "version", "get_job"})
_within_many = ContextVar("_within_many", default=False)


class Observer:
    """Stands between a worker and its connections."""

    def __init__(self, actor: Actor) -> None:
        """Writes into the history of this actor."""
        self._actor = actor
        self._history = actor.history
        self._run = client.run
        self._run_async = client.run_async
        self._run_each = batch.run_each
        self._run_each_async = batch.run_each_async

    def install(self) -> None:
        """Takes its place, for the rest of this process's life."""
        for module, name, function in (
            (client, "run", self.run),
            (client, "run_async", self.run_async),
            (heartbeat, "run_each", self.run_each),
            (finish, "run_each_async", self.run_each_async),
        ):
            setattr(module, name, function)

    def run(self, connection: psycopg.Connection[Any], call: Call[Result]) -> Result:
        """Executes a call on a connection that blocks."""
        function = _function(call)
        if not self._is_remarkable(connection, function):
            return self._run(connection, call)
        with self._history.call(function, **asked(call)) as noted:
            result = self._run(connection, call)
            noted.reply(**told(function, call, result))
        return result

    async def run_async(
        self, connection: psycopg.AsyncConnection[Any], call: Call[Result]
    ) -> Result:
        """Executes a call on a connection that doesn't block."""
        function = _function(call)
        if not self._is_remarkable(connection, function):
            return await self._run_async(connection, call)
        with self._history.call(function, **asked(call)) as noted:
            if function == "complete_many" and self._actor.meets_its_end("sent"):
                # Up to where it first has to wait: the statement is on its way by then.
                self._run_async(connection, call).send(None)
                self._actor.die("sent")
            result = await self._run_async(connection, call)
            noted.reply(**told(function, call, result))
        if function == "claim_next" and result:
            self._actor.pass_by("claimed")
        return result

    def run_each(
        self, connection: psycopg.Connection[Any], many: Sequence[Call[Result]]
    ) -> list[Result | psycopg.Error]:
        """Executes many calls on a connection that blocks."""
        answer = self._invoke_each(many)
        within = _within_many.set(True)
        try:
            return answer(self._run_each(connection, many))
        except psycopg.Error as error:
            answer([error] * len(many))
            raise
        finally:
            _within_many.reset(within)

    async def run_each_async(
        self, connection: psycopg.AsyncConnection[Any], many: Sequence[Call[Result]]
    ) -> list[Result | psycopg.Error]:
        """Executes many calls on a connection that doesn't."""
        answer = self._invoke_each(many)
        within = _within_many.set(True)
        try:
            return answer(await self._run_each_async(connection, many))
        except psycopg.Error as error:
            answer([error] * len(many))
            raise
        finally:
            _within_many.reset(within)

    @staticmethod
    def _is_remarkable(connection: BaseConnection[Any], function: str) -> bool:
        """Whether a call is written down here: not in a transaction, and not as one of many."""
        alone = connection.info.transaction_status is TransactionStatus.IDLE
        return (
            connection.autocommit
            and alone
            and not _within_many.get()
            and function not in _UNREMARKABLE
        )

    def _invoke_each(
        self, many: Sequence[Call[Result]]
    ) -> Callable[[list[Result | psycopg.Error]], list[Result | psycopg.Error]]:
        functions = [_function(call) for call in many]
        history = self._history
        numbers = [
            history.invoke(function, **asked(call))
            for function, call in zip(functions, many, strict=True)
        ]

        def answer(results: list[Result | psycopg.Error]) -> list[Result | psycopg.Error]:
            for number, function, call, result in zip(
                numbers, functions, many, results, strict=True
            ):
                if isinstance(result, psycopg.Error):
                    code = result.sqlstate or type(result).__name__
                    history.answer(number, function, outcome_of(result), code=code)
                else:
                    history.answer(number, function, "ok", **told(function, call, result))
            return results

        return answer


def _function(call: Call[Any]) -> str:
    found = _FUNCTION.search(call.sql)
    assert found is not None, call.sql
    return found[1]


def asked(call: Call[Any]) -> dict[str, Any]:
    """Returns what a history says of a call before it is sent: its arguments."""
    fields: dict[str, Any] = dict(call.params)
    for unsaid in ("payload", "result", "results", "error", "message", "jobs"):
        fields.pop(unsaid, None)
    fields["job"] = fields.pop("job_id", None)
    if "job_ids" in fields:
        pairs = zip(fields.pop("job_ids"), fields.pop("tokens"), strict=True)
        fields["items"] = [{"job": job, "token": token} for job, token in pairs]
    return fields


def told(function: str, call: Call[Any], result: Any) -> dict[str, Any]:
    """Returns what a history says of a call that was answered."""
    match function:
        case "claim_next":
            return {"items": [_claimed(job) for job in result]}
        case "complete_many" if isinstance(result, set):  # the worker asks for the lost ones alone
            ids: Any = call.params["job_ids"]
            codes = {True: "lost", False: "completed"}
            return {"items": [{"job": id, "code": codes[id in result]} for id in ids]}
        case "complete_many" | "extend_leases" | "reap_stuck":
            return {"items": [{"job": one.id, "code": one.outcome} for one in result]}
        case "tick" | "tick_every":
            return dict(result or {})
        case "fail_with_backoff" | "cancel":
            return {"status": result}
        case "purge_finished":
            return {"removed": result}
        case _:
            return {}


def _claimed(job: Any) -> dict[str, Any]:
    return {
        "job": job.id,
        "token": job.token,
        "queue": job.queue,
        "priority": job.priority,
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "alone": job.alone,
    }
