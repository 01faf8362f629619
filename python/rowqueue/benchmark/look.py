"""Fetches the facts: one look at the database, with no more rights than a worker has."""

from __future__ import annotations

from typing import Any, LiteralString, TypeVar

from psycopg.rows import class_row

from rowqueue import calls, client
from rowqueue.benchmark.facts import Counters, Holder, Look, Setting
from rowqueue.benchmark.names import APPLICATION
from rowqueue.benchmark.place import Session

Row = TypeVar("Row")

_SETTINGS = [
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "synchronous_standby_names",
    "shared_buffers",
    "max_wal_size",
    "wal_compression",
    "autovacuum",
    "max_connections",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
]
_SETTING_VALUES = """
    select s.name, current_setting(s.name), s.setting, s.unit from pg_settings as s
    where s.name = any(%s)
    order by array_position(%s, s.name)
"""
_UNITS = {
    "B": 1, "kB": 1 << 10, "8kB": 8 << 10, "MB": 1 << 20, "ms": 0.001, "s": 1, "min": 60,
}  # fmt: skip

# Of other users' sessions these columns are shown to everyone, but state and xact_start. A session
# without a user is one of the server's own, whose snapshots vacuum ignores.
_HOLDERS = """
    select
        a.pid, a.usename as user, coalesce(a.application_name, '') as application,
        coalesce(a.datname = current_database(), true) as here,
        a.state, clock_timestamp() - a.xact_start as held_for,
        a.backend_xid::text as xid, a.backend_xmin::text as xmin
    from pg_stat_activity as a
    where a.pid <> pg_backend_pid() and a.usename is not null
    and (a.backend_xmin is not null or a.backend_xid is not null)
    order by age(coalesce(a.backend_xmin, a.backend_xid)) desc, a.pid
"""
_CHECKPOINTS_TO_16: LiteralString = (
    "select checkpoints_req as forced, checkpoints_timed as timed from pg_stat_bgwriter"
)
_CHECKPOINTS: LiteralString = (
    "select num_requested as forced, num_timed as timed from pg_stat_checkpointer"
)
_COUNTERS = """
    select c.forced as forced_checkpoints, c.timed as timed_checkpoints,
           w.wal_bytes::bigint as wal_bytes, w.wal_fpi as page_images
    from ({}) as c, pg_stat_wal as w
"""

_CONNECTIONS = """
    select count(*) as connections,
           count(*) filter (where a.application_name <> %s) as others,
           count(*) filter (where a.application_name like 'rowqueue heartbeat %%'
                            and a.datname = current_database()) as workers
    from pg_stat_activity as a
    where a.usename is not null
"""
_MAY_READ_SWEEPS = "select has_sequence_privilege('rowqueue.swept_at', 'select')"
_SWEEPS = """
    select clock_timestamp() - to_timestamp(s.last_value / 1000.0)
    from rowqueue.swept_at as s where s.last_value > 0
"""
_MAY_ASK_DOCTOR = "select has_function_privilege(to_regprocedure('rowqueue.doctor()'), 'execute')"


def look(session: Session) -> Look:
    """Looks at the database.

    Raises:
        psycopg.Error: there is no schema in it, or the user may not use it.
    """
    schema = client.run(session, calls.version())
    sees_ticks = _one(session, _MAY_READ_SWEEPS)[0]
    sweep = session.execute(_SWEEPS).fetchone() if sees_ticks else None
    connections, others, workers = _one(session, _CONNECTIONS, APPLICATION)
    checkpoints = _CHECKPOINTS if session.info.server_version >= 170000 else _CHECKPOINTS_TO_16
    (counters,) = _rows(session, Counters, _COUNTERS.format(checkpoints))
    return Look(
        version=_one(session, "select split_part(current_setting('server_version'), ' ', 1)")[0],
        schema=schema,
        settings={
            name: Setting(text, _number(raw, unit))
            for name, text, raw, unit in session.execute(_SETTING_VALUES, [_SETTINGS, _SETTINGS])
        },
        holders=_rows(session, Holder, _HOLDERS),
        counters=counters,
        connections=connections,
        others=others,
        workers=workers,
        notify=client.run(session, calls.mark_idle()),
        notify_queue=_one(session, "select pg_notification_queue_usage()")[0],
        sees_ticks=sees_ticks,
        ticked=next(iter(sweep)) if sweep else None,
        doctor=client.run(session, calls.doctor()) if _one(session, _MAY_ASK_DOCTOR)[0] else None,
    )


def _number(raw: str, unit: str | None) -> float:
    """Returns a setting in bytes, in seconds, or as it is; 0 for what is no number."""
    try:
        return float(raw) * (_UNITS[unit] if unit else 1)
    except ValueError:
        return 0


def _one(session: Session, query: LiteralString, *values: object) -> tuple[Any, ...]:
    row = session.execute(query, values or None).fetchone()
    assert row is not None
    return tuple(row)


def _rows(session: Session, kind: type[Row], query: LiteralString) -> list[Row]:
    with session.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query).fetchall()
