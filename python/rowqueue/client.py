"""`Queue` and `AsyncQueue`: two thin runners over the same calls.

Their methods are the functions of `rowqueue.calls`, executed: names, arguments and docstrings
come from there, and nothing about a queue is decided here.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor
from psycopg.pq import Format
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from rowqueue import calls
from rowqueue.calls import Call
from rowqueue.pooler import prepare_nothing_through, prepare_nothing_through_async

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Method = TypeVar("Method", bound=Callable[..., Any])

# Of the pool that a connection string makes: it holds what is in use, gives up a connection that
# idles for ten minutes, and does not let a caller wait long for a database that is gone.
_MAX_CONNECTIONS = 10
_MAX_WAIT = 10.0


def run(connection: Connection[Any], call: Call[Result]) -> Result:
    """Executes a call on a connection, whichever rows and cursors that is set to make."""
    with Cursor(connection, row_factory=call.row_factory) as cursor:
        cursor.format = Format.BINARY
        cursor.execute(call.sql, call.params)
        return call.shape(cursor.fetchall())


async def run_async(connection: AsyncConnection[Any], call: Call[Result]) -> Result:
    """Does the same on an asynchronous connection."""
    async with AsyncCursor(connection, row_factory=call.row_factory) as cursor:
        cursor.format = Format.BINARY
        await cursor.execute(call.sql, call.params)
        return call.shape(await cursor.fetchall())


def _method(
    function: Callable[Arguments, Call[Result]],
) -> Callable[Concatenate[Queue, Arguments], Result]:
    """Makes a method of `Queue` out of a function of `rowqueue.calls`."""

    def method(self: Queue, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return self._run(function(*args, **kwargs))

    return _dressed(method, function)


def _async_method(
    function: Callable[Arguments, Call[Result]],
) -> Callable[Concatenate[AsyncQueue, Arguments], Coroutine[Any, Any, Result]]:
    """Makes a method of `AsyncQueue` out of a function of `rowqueue.calls`."""

    async def method(
        self: AsyncQueue, /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        return await self._run(function(*args, **kwargs))

    return _dressed(method, function)


def _dressed(method: Method, function: Callable[..., Call[Any]]) -> Method:
    """Gives a method its function's name, docstring and signature, with self and plain result."""
    functools.update_wrapper(method, function)
    signature = inspect.signature(function)
    (result,) = get_args(signature.return_annotation)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[itself, *signature.parameters.values()], return_annotation=result
    )
    return method


class Queue:
    """The queue in a database, for code that blocks; `AsyncQueue` is the same for asyncio.

    Every method is one call of the SQL function of its name. An argument that is left out, or
    None, has SQL's default.

    On a caller's connection the calls belong to the transaction there, and nothing is committed
    here: a job and the rows that it is about stand or fall together. On a pool, or on a
    connection string, each call is a transaction of its own.
    """

    def __init__(self, target: str | Connection[Any] | ConnectionPool[Any] = "") -> None:
        """Says where the queue is; nothing is opened before the first call.

        Args:
            target: a connection, or a pool, which stay the caller's to close; or a connection
                string (libpq's environment variables fill in what it leaves out), from which a
                small pool is made.
        """
        if not isinstance(target, str | Connection | ConnectionPool):
            raise TypeError(
                "Queue takes a connection string, a psycopg.Connection or a "
                f"psycopg_pool.ConnectionPool, not {type(target).__name__}"
            )
        self._opening = threading.Lock()
        self._untried: str | None = None
        self._own: ConnectionPool[Any] | None = None
        if isinstance(target, str):
            self._untried = target
            target = self._own = ConnectionPool(
                target,
                kwargs={"autocommit": True},
                min_size=0,
                max_size=_MAX_CONNECTIONS,
                timeout=_MAX_WAIT,
                configure=prepare_nothing_through,
                check=ConnectionPool.check_connection,
                open=False,
            )
        self._target = target

    def _run(self, call: Call[Result]) -> Result:
        if isinstance(self._target, Connection):
            return run(self._target, call)
        if self._untried is not None:
            self._open()
        with self._target.connection() as connection:
            return run(connection, call)

    def _open(self) -> None:
        with self._opening:
            if self._untried is not None and self._own is not None:
                # The pool would try for long; a first try by hand tells at once what is wrong.
                Connection.connect(self._untried).close()
                self._own.open()
                self._untried = None

    def close(self) -> None:
        """Closes the pool made from a connection string; a caller's own target stays open."""
        if self._own is not None:
            self._untried = None
            self._own.close()

    def __enter__(self) -> Self:
        """Returns the queue itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes what `close` closes."""
        self.close()

    enqueue = _method(calls.enqueue)
    enqueue_many = _method(calls.enqueue_many)
    claim_next = _method(calls.claim_next)
    mark_idle = _method(calls.mark_idle)
    report_progress = _method(calls.report_progress)
    extend_lease = _method(calls.extend_lease)
    extend_leases = _method(calls.extend_leases)
    complete = _method(calls.complete)
    complete_many = _method(calls.complete_many)
    fail_with_backoff = _method(calls.fail_with_backoff)
    release = _method(calls.release)
    cancel = _method(calls.cancel)
    retry = _method(calls.retry)
    reap_stuck = _method(calls.reap_stuck)
    tick = _method(calls.tick)
    tick_every = _method(calls.tick_every)
    purge_finished = _method(calls.purge_finished)
    set_notify = _method(calls.set_notify)
    grant_roles = _method(calls.grant_roles)
    confirm_identity = _method(calls.confirm_identity)
    get_job = _method(calls.get_job)
    list_jobs = _method(calls.list_jobs)
    health = _method(calls.health)
    doctor = _method(calls.doctor)
    version = _method(calls.version)


class AsyncQueue:
    """The queue in a database, for asyncio: `Queue` with coroutines for methods.

    Its pool belongs to the event loop of the first call.
    """

    def __init__(self, target: str | AsyncConnection[Any] | AsyncConnectionPool[Any] = "") -> None:
        """Says where the queue is; nothing is opened before the first call.

        Args:
            target: an asynchronous connection, or pool, which stay the caller's to close; or a
                connection string, as for `Queue`.
        """
        if not isinstance(target, str | AsyncConnection | AsyncConnectionPool):
            raise TypeError(
                "AsyncQueue takes a connection string, a psycopg.AsyncConnection or a "
                f"psycopg_pool.AsyncConnectionPool, not {type(target).__name__}"
            )
        self._opening = asyncio.Lock()
        self._untried: str | None = None
        self._own: AsyncConnectionPool[Any] | None = None
        if isinstance(target, str):
            self._untried = target
            target = self._own = AsyncConnectionPool(
                target,
                kwargs={"autocommit": True},
                min_size=0,
                max_size=_MAX_CONNECTIONS,
                timeout=_MAX_WAIT,
                configure=prepare_nothing_through_async,
                check=AsyncConnectionPool.check_connection,
                open=False,
            )
        self._target = target

    async def _run(self, call: Call[Result]) -> Result:
        if isinstance(self._target, AsyncConnection):
            return await run_async(self._target, call)
        if self._untried is not None:
            await self._open()
        async with self._target.connection() as connection:
            return await run_async(connection, call)

    async def _open(self) -> None:
        async with self._opening:
            if self._untried is not None and self._own is not None:
                await (await AsyncConnection.connect(self._untried)).close()
                await self._own.open()
                self._untried = None

    async def close(self) -> None:
        """Closes the pool made from a connection string; a caller's own target stays open."""
        if self._own is not None:
            self._untried = None
            await self._own.close()

    async def __aenter__(self) -> Self:
        """Returns the queue itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes what `close` closes."""
        await self.close()

    enqueue = _async_method(calls.enqueue)
    enqueue_many = _async_method(calls.enqueue_many)
    claim_next = _async_method(calls.claim_next)
    mark_idle = _async_method(calls.mark_idle)
    report_progress = _async_method(calls.report_progress)
    extend_lease = _async_method(calls.extend_lease)
    extend_leases = _async_method(calls.extend_leases)
    complete = _async_method(calls.complete)
    complete_many = _async_method(calls.complete_many)
    fail_with_backoff = _async_method(calls.fail_with_backoff)
    release = _async_method(calls.release)
    cancel = _async_method(calls.cancel)
    retry = _async_method(calls.retry)
    reap_stuck = _async_method(calls.reap_stuck)
    tick = _async_method(calls.tick)
    tick_every = _async_method(calls.tick_every)
    purge_finished = _async_method(calls.purge_finished)
    set_notify = _async_method(calls.set_notify)
    grant_roles = _async_method(calls.grant_roles)
    confirm_identity = _async_method(calls.confirm_identity)
    get_job = _async_method(calls.get_job)
    list_jobs = _async_method(calls.list_jobs)
    health = _async_method(calls.health)
    doctor = _async_method(calls.doctor)
    version = _async_method(calls.version)
