"""Fetches the facts: one look at the database, with no more rights than a worker has."""

from __future__ import annotations

from typing import Any, LiteralString, TypeVar

from psycopg.rows import class_row

from rowqueue import calls, client
from rowqueue.benchmark.facts import Counters, Holder, Look, Prepared, Setting, Slot
from rowqueue.benchmark.names import APPLICATION
from rowqueue.benchmark.place import Session
from rowqueue.schema import migrations_folder

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
    "track_counts",
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

_OPTIONS = """
    select c.relname, o.option_name, o.option_value
    from pg_class as c
    cross join lateral pg_options_to_table(c.reloptions) as o
    where c.relnamespace = 'rowqueue'::regnamespace and c.relkind = 'r'
"""

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
_PREPARED = """
    select p.gid, p.owner as user, p.database, clock_timestamp() - p.prepared as held_for
    from pg_prepared_xacts as p
    order by p.prepared
"""
_SLOTS = """
    select s.slot_name as name, s.active, s.xmin::text, s.catalog_xmin::text
    from pg_replication_slots as s
    where not s.temporary
    order by s.slot_name
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
_LIVE_ROWS = """
    select s.n_live_tup, s.n_dead_tup from pg_stat_all_tables as s
    where s.relid = 'rowqueue.jobs_live'::regclass
"""

_MAY_READ_SWEEPS = "select has_sequence_privilege('rowqueue.swept_at', 'select')"
_SWEEPS = """
    select
        (select clock_timestamp() - to_timestamp(s.last_value / 1000.0)
         from rowqueue.swept_at as s where s.last_value > 0) as ticked,
        (select case when b.is_called then b.last_value else 0 end
         from rowqueue.below_floor as b) as below_floor
"""


def newest_schema() -> str:
    """Returns the version of the schema that came with this package."""
    return max(file.name.split(".")[0] for file in migrations_folder().glob("*.sql"))


def look(session: Session) -> Look:
    """Looks at the database.

    Raises:
        psycopg.Error: there is no schema in it, or the user may not use it.
    """
    schema = client.run(session, calls.version())
    ticked, below_floor = None, None
    if _one(session, _MAY_READ_SWEEPS)[0]:
        ticked, below_floor = _one(session, _SWEEPS)
    connections, others, workers = _one(session, _CONNECTIONS, APPLICATION)
    live_rows, dead_rows = _one(session, _LIVE_ROWS)
    checkpoints = _CHECKPOINTS if session.info.server_version >= 170000 else _CHECKPOINTS_TO_16
    (counters,) = _rows(session, Counters, _COUNTERS.format(checkpoints))
    return Look(
        version=_one(session, "select split_part(current_setting('server_version'), ' ', 1)")[0],
        schema=schema,
        settings={
            name: Setting(text, _number(raw, unit))
            for name, text, raw, unit in session.execute(_SETTING_VALUES, [_SETTINGS, _SETTINGS])
        },
        options=_options(session),
        holders=_rows(session, Holder, _HOLDERS),
        prepared=_rows(session, Prepared, _PREPARED),
        slots=_rows(session, Slot, _SLOTS),
        counters=counters,
        connections=connections,
        others=others,
        dead_rows=dead_rows,
        live_rows=live_rows,
        workers=workers,
        notify=client.run(session, calls.mark_idle()),
        notify_queue=_one(session, "select pg_notification_queue_usage()")[0],
        ticked=ticked,
        below_floor=below_floor,
    )


def _options(session: Session) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, name, value in session.execute(_OPTIONS):
        found.setdefault(table, {})[name] = value
    return found


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
