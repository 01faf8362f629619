"""The errors of rowqueue: one class for each SQLSTATE, which psycopg itself raises.

::

    psycopg.DatabaseError
    ├── RowqueueError             the base of all codes of rowqueue's own
    │   ├── JobNotFound           RQ001  no job has this id
    │   ├── LeaseLost             RQ101  the token no longer holds the job: stop working on it
    │   ├── WrongState            RQ102  the job is in a state that does not allow the call
    │   ├── NotStorable           RQ103  a payload or result that cannot be stored and read back
    │   ├── KeyConflict           RQ104  a key was used again with another payload (reserved)
    │   ├── Paused                RQ201  the queue or workspace is paused (reserved)
    │   ├── OverQuota             RQ202  the workspace is over its quota (reserved)
    │   └── IdentityUnconfirmed   RQ203  this database is a copy: an admin has to confirm it
    └── psycopg.DataError
        └── InvalidArgument       22023  an argument is out of range or malformed

A class registers its code with psycopg when this module is imported, so an ``except`` works on
any connection, also on one that calls the SQL functions without this package's help.
``InvalidArgument`` is psycopg's own class for 22023 under the name that it has here. What can be
known to be wrong before anything is sent is raised on the spot, as the same classes.

The message is for people; ``error.sqlstate`` is for programs, ``error.diag.message_hint`` holds
the remedy.
"""

from __future__ import annotations

import psycopg
from psycopg.errors import InvalidParameterValue as InvalidArgument

__all__ = [
    "IdentityUnconfirmed",
    "InvalidArgument",
    "JobNotFound",
    "KeyConflict",
    "LeaseLost",
    "NotStorable",
    "OverQuota",
    "Paused",
    "RowqueueError",
    "WrongState",
]


class RowqueueError(psycopg.DatabaseError):
    """The base of every error whose code is rowqueue's own."""


class JobNotFound(RowqueueError, code="RQ001"):
    """No job has this id. It may have been purged."""


class LeaseLost(RowqueueError, code="RQ101"):
    """The token no longer holds the job, which was handed on: stop working on it."""


class WrongState(RowqueueError, code="RQ102"):
    """The job is in a state that does not allow this call."""


class NotStorable(RowqueueError, code="RQ103"):
    """A payload or result cannot be stored and read back safely."""


class KeyConflict(RowqueueError, code="RQ104"):
    """A key was used again with another payload where the caller asked for a conflict."""


class Paused(RowqueueError, code="RQ201"):
    """The queue or workspace is paused."""


class OverQuota(RowqueueError, code="RQ202"):
    """The workspace is over its quota."""


class IdentityUnconfirmed(RowqueueError, code="RQ203"):
    """This database is a copy, and nobody has confirmed that its jobs are to run there."""
