"""The page docs/doctor.md: what doctor() looks for, from its own list and that of the package."""

from __future__ import annotations

from typing import Any

import psycopg

from rowqueue.doctor import CLIENT_KINDS, Kind

_INTRODUCTION = """\
# Doctor

<!-- Made from sql/8_doctor and rowqueue/doctor.py. Change it there, then: make sql-reference -->

`rowqueue doctor` says what is wrong with the queue and with the database that it lives in:

```sh
rowqueue doctor || true
```

So does SQL, without what only a client can see:

```sql
select severity, name, what, remedy from rowqueue.doctor();
```

Each finding says what was found and where, why it matters, and which SQL helps. A healthy database
has none. It changes nothing, and asking is quick however many jobs there are: it reads the heads of
the lanes and what runs, and takes the rest from what the server counts.

| severity | means |
|---|---|
| `error` | jobs are lost, stuck or done twice, or soon will be; the command exits with 1 |
| `warning` | it hurts, and gets worse |
| `notice` | good to know |

It may be asked by `rowqueue_observer` and `rowqueue_admin`. What other users' sessions are doing,
the function sees only if the owner of the schema may: `grant pg_monitor to` that role. Without it,
the session, its user and how many transactions old its snapshot is are still told.

A remedy is a suggestion. Read it before you run it: one that ends a session, drops a slot or
finishes a prepared transaction has consequences that only you know.
"""

_BY_SQL = """\
## What it finds

| finding | severity | when | why it matters |
|---|---|---|---|
"""

_BY_CLIENT = """
## What only the command finds

| finding | severity | when | why it matters |
|---|---|---|---|
"""

_END = """
## What it cannot see

- Whether the disk keeps its word: a drive that acknowledges writes before they are safe.
- Whether another database works on the same jobs: see [the clone guard](operations.md#copies).
- Why a worker that is connected does nothing. `queue_unserved` tells that its queue waits.
- Tables that others have put into the schema, and storage parameters that you have tuned: those are
  yours.
"""


def page(connection: psycopg.Connection[Any]) -> str:
    """Returns the page, for the schema that is installed in a database."""
    with psycopg.Cursor(connection) as cursor:
        cursor.execute("select name, severity, found_when, why from rowqueue.finding_kinds")
        kinds = [Kind(*row) for row in cursor.fetchall()]
    return "".join(
        [_INTRODUCTION, "\n", _BY_SQL, _rows(kinds), _BY_CLIENT, _rows(CLIENT_KINDS), _END]
    )


def _rows(kinds: tuple[Kind, ...] | list[Kind]) -> str:
    order = ("error", "warning", "notice")
    return "".join(
        f"| `{kind.name}` | {kind.severity} | {kind.found_when} | {kind.why} |\n"
        for kind in sorted(kinds, key=lambda kind: (order.index(kind.severity), kind.name))
    )
