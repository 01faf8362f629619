"""Many calls in one round trip, of which one that fails spoils no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg

from rowqueue import calls, client
from rowqueue.calls import Call
from rowqueue.worker.job import Job, Report

Result = TypeVar("Result")


async def run_each_async(
    connection: psycopg.AsyncConnection[Any], batch: Sequence[Call[Result]]
) -> list[Result | psycopg.Error]:
    """Executes calls in a pipeline, which is one transaction; if that fails, one by one.

    Nothing is prepared in the pipeline: after an error the server skips what follows, and psycopg
    would take a statement for prepared that never was.

    Returns:
        For each call its result, or the error that it raised.

    Raises:
        psycopg.Error: the connection was lost; what has been done is not known.
    """
    try:
        async with connection.pipeline():
            cursors = [connection.cursor(row_factory=call.row_factory) for call in batch]
            for cursor, call in zip(cursors, batch, strict=True):
                await cursor.execute(call.sql, call.params, binary=True, prepare=False)
        return [
            call.shape(await cursor.fetchall()) for cursor, call in zip(cursors, batch, strict=True)
        ]
    except psycopg.Error:
        if connection.closed:
            raise
    results: list[Result | psycopg.Error] = []
    for call in batch:
        try:
            result = await client.run_async(connection, call)
        except psycopg.Error as error:
            if connection.closed:
                raise
            results.append(error)
        else:
            results.append(result)
    return results


def run_each(
    connection: psycopg.Connection[Any], batch: Sequence[Call[Result]]
) -> list[Result | psycopg.Error]:
    """Does the same on a connection that blocks."""
    try:
        with connection.pipeline():
            cursors = [connection.cursor(row_factory=call.row_factory) for call in batch]
            for cursor, call in zip(cursors, batch, strict=True):
                cursor.execute(call.sql, call.params, binary=True, prepare=False)
        return [call.shape(cursor.fetchall()) for cursor, call in zip(cursors, batch, strict=True)]
    except psycopg.Error:
        if connection.closed:
            raise
    results: list[Result | psycopg.Error] = []
    for call in batch:
        try:
            result = client.run(connection, call)
        except psycopg.Error as error:
            if connection.closed:
                raise
            results.append(error)
        else:
            results.append(result)
    return results


def progress_call(job: Job, report: Report | None) -> Call[bool]:
    """Returns the call that writes what a handler reported."""
    current, total, message = report or Report(0, None, None)
    return calls.report_progress(
        job.id, token=job.token, current=current, total=total, message=message
    )
