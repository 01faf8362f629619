"""The way to the server: network, pooler, disk, time-outs, and how many use it."""

from __future__ import annotations

from collections.abc import Iterator

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine, set_to, shown
from rowqueue.pooler import Pooler

_FAR = 5.0
_SLOW_DISK = 10.0
_CROWDED = 0.8
_SHORTEST_STATEMENT = 10.0
_SHORTEST_IDLE = 10.0


def pooler(facts: Facts) -> Iterator[Finding]:
    """Notifications don't come through a transaction pooler, and nothing can be prepared."""
    name = "pooler"
    if facts.place.pooler is Pooler.TRANSACTION:
        yield Finding(
            name,
            Level.WARN,
            "a pooler in transaction mode stands in between",
            "Notifications don't come through: an idle worker finds jobs at its next look, up to"
            " two seconds later. Give workers a direct connection, and producers the pooler; or"
            " say Worker(…, pooler=True), as was done here.",
        )
    elif facts.place.pooler is Pooler.SESSION:
        yield fine(name, "a pooler or proxy that keeps sessions")
    else:
        yield fine(name, "no pooler")


def network(facts: Facts) -> Iterator[Finding]:
    """How far it is to the server."""
    name = "network"
    seen = f"{facts.round_trip:.1f} ms there and back"
    if facts.round_trip < _FAR:
        yield fine(name, seen)
        return
    yield Finding(
        name,
        Level.WARN,
        seen,
        "Every call waits that long. Run workers near the database, and enqueue in batches"
        " (enqueue_many).",
    )


def commit_time(facts: Facts) -> Iterator[Finding]:
    """How long the disk takes, which each commit waits for."""
    name = "commit time"
    disk = max(facts.commit - facts.round_trip, 0)
    seen = f"{disk:.1f} ms to the disk"
    if disk < _SLOW_DISK:
        yield fine(name, seen)
        return
    yield Finding(
        name,
        Level.WARN,
        seen,
        "A disk, or a synchronous replica, that takes so long bounds what one session enqueues one"
        " by one. Batches and more sessions share a commit; workers do so by themselves.",
    )


def connection_count(facts: Facts) -> Iterator[Finding]:
    """Connections are what a server runs out of first."""
    name = "connections"
    most = int(facts.settings["max_connections"].number)
    seen = f"{facts.after.connections} of {most} connections in use"
    if facts.after.connections < _CROWDED * most:
        yield fine(name, seen)
        return
    yield Finding(
        name,
        Level.WARN,
        seen,
        "A worker process takes three, whatever its concurrency. Fewer processes with more"
        " handlers each do as much; put producers behind a pooler.",
    )


def time_outs(facts: Facts) -> Iterator[Finding]:
    """Time-outs that are too short for a batch, or for a worker that waits."""
    name = "time-outs"
    found = [
        Finding(name, Level.WARN, shown(facts, setting), why, remedy)
        for setting, shortest, why, remedy in _TIME_OUTS
        if 0 < facts.settings[setting].number < shortest
    ]
    yield from found or [fine(name, "no time-out in the way")]


_TIME_OUTS = (
    (
        "statement_timeout",
        _SHORTEST_STATEMENT,
        "A large batch, a purge or a migration may be cut off, and then does nothing at all.",
        "alter role current_user set statement_timeout = '1min';",
    ),
    (
        "idle_session_timeout",
        _SHORTEST_IDLE,
        "The connections of an idle worker are closed before it looks for jobs again.",
        "alter role current_user set idle_session_timeout = 0;",
    ),
)


def idle_transactions(facts: Facts) -> Iterator[Finding]:
    """What ends a transaction that somebody forgot, if there is one now."""
    name = "idle_in_transaction_session_timeout"
    forgotten = [
        holder
        for holder in facts.after.holders
        if holder.here and (holder.state or "").startswith("idle in transaction")
    ]
    if facts.settings[name].number > 0 or not forgotten:
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.WARN,
        shown(facts, name),
        "Nothing ends a transaction that its session has forgotten, and there is one.",
        set_to(name, "'5min'"),
    )


JUDGES: tuple[Judge, ...] = (
    pooler,
    network,
    commit_time,
    connection_count,
    time_outs,
    idle_transactions,
)
