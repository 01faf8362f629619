"""rowqueue: a job queue in PostgreSQL.

The queue is a schema of SQL functions. This package calls them (`Queue`, `AsyncQueue`) and runs
handlers for the jobs (`Worker`); it decides nothing that the database does not decide.
"""

from rowqueue import errors
from rowqueue.client import AsyncQueue, Queue
from rowqueue.errors import (
    IdentityUnconfirmed,
    InvalidArgument,
    JobNotFound,
    KeyConflict,
    LeaseLost,
    NotStorable,
    OverQuota,
    Paused,
    RowqueueError,
    WrongState,
)
from rowqueue.jobs import ClaimedJob, Enqueued, Finding, JobRow, NewJob, Outcome, QueueHealth
from rowqueue.jsontext import JsonText
from rowqueue.worker import Job, Worker

__all__ = [
    "AsyncQueue",
    "ClaimedJob",
    "Enqueued",
    "Finding",
    "IdentityUnconfirmed",
    "InvalidArgument",
    "Job",
    "JobNotFound",
    "JobRow",
    "JsonText",
    "KeyConflict",
    "LeaseLost",
    "NewJob",
    "NotStorable",
    "Outcome",
    "OverQuota",
    "Paused",
    "Queue",
    "QueueHealth",
    "RowqueueError",
    "Worker",
    "WrongState",
    "errors",
]
