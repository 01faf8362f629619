"""What is old and open, and so keeps dead rows where they are and floors from rising."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from rowqueue.benchmark.facts import Facts, Holder, Slot
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine
from rowqueue.text import clean

_OLD = timedelta(seconds=30)
_VERY_OLD = timedelta(minutes=10)
_LEAST = timedelta(seconds=10)
_NAMED = 3
"""How many are named; the first ones to go are the oldest."""

_KEEPS_ROWS = (
    "As long as it lasts, no row that has died since it began can be cleared away, in any table of"
    " this database."
)
_READS = f"{_KEEPS_ROWS} Claims go by floors and stay fast; other queries walk over those rows."
_HAS_WRITTEN = (
    f"{_KEEPS_ROWS} It has written, so floors can't rise either: claims, too, walk over those rows."
)


def snapshots(facts: Facts) -> Iterator[Finding]:
    """Sessions that hold a snapshot or a transaction open here, each by name."""
    name = "held snapshot"
    old = _old(facts, [holder for holder in facts.after.holders if holder.here])
    if not old:
        yield fine(name, "no snapshot held open")
    for holder, age in old[:_NAMED]:
        level, why = (Level.BAD, _HAS_WRITTEN) if holder.xid else (_level(age), _READS)
        yield Finding(name, level, _who(holder, age), why, _end(holder))


def transactions(facts: Facts) -> Iterator[Finding]:
    """Sessions with an old transaction that has written, in other databases: floors wait for it."""
    name = "old transaction"
    old = _old(facts, [one for one in facts.after.holders if one.xid and not one.here])
    if not old:
        yield fine(name, "no old transaction elsewhere")
    for holder, age in old[:_NAMED]:
        yield Finding(
            name,
            _level(age),
            f"{_who(holder, age)}, in another database",
            "Floors can't rise until it ends, for transaction ids count for the whole server."
            " Claims then walk over what autovacuum has not cleared away yet.",
            _end(holder),
        )


def prepared(facts: Facts) -> Iterator[Finding]:
    """Prepared transactions outlive their session, and a restart."""
    name = "prepared transaction"
    before = {one.gid for one in facts.before.prepared}
    old = [one for one in facts.after.prepared if one.held_for >= _OLD or one.gid in before]
    if not old:
        yield fine(name, "no prepared transaction")
    for one in old:
        gid = one.gid.replace("'", "''")
        yield Finding(
            name,
            Level.BAD,
            f"{clean(one.gid)} of {clean(one.user)} in database {clean(one.database)},"
            f" for {_words(one.held_for)}",
            "Until somebody finishes it, and a restart does not, no row that has died since can be"
            " cleared away, and floors can't rise: claims walk over those rows.",
            f"rollback prepared '{clean(gid)}';",
        )


def slots(facts: Facts) -> Iterator[Finding]:
    """Replication slots keep rows for a replica's queries, and log for one that is gone."""
    name = "replication slot"
    before = {slot.name: slot for slot in facts.before.slots}
    blamed = [
        finding
        for slot in facts.after.slots
        if (finding := _judge_slot(name, slot, before.get(slot.name))) is not None
    ]
    yield from blamed or [fine(name, "no replication slot in the way")]


def _judge_slot(name: str, slot: Slot, before: Slot | None) -> Finding | None:
    if not slot.active:
        return Finding(
            name,
            Level.WARN,
            f"slot {slot.name} has no consumer",
            "The server keeps all log since it was last read, and the rows that it may still need,"
            " until the disk is full.",
            f"select pg_drop_replication_slot('{slot.name}');",
        )
    if slot.xmin and before is not None and slot.xmin == before.xmin:
        return Finding(
            name,
            Level.WARN,
            f"slot {slot.name}: a query on a replica holds a snapshot",
            f"The replica has hot_standby_feedback on. {_READS}",
            "alter system set hot_standby_feedback = off; -- on the replica, then reload",
        )
    return None


def _old(facts: Facts, holders: Sequence[Holder]) -> list[tuple[Holder, timedelta]]:
    """Returns those that have been open for long, with how long; the oldest snapshot first."""
    ages = [(holder, _held_for(facts, holder)) for holder in holders]
    return [(holder, age) for holder, age in ages if age >= _OLD or _all_along(facts, holder)]


def _all_along(facts: Facts, holder: Holder) -> bool:
    """Whether it was there before the run, which took a while."""
    return _seen_before(facts, holder) and timedelta(seconds=facts.seconds) >= _LEAST


def _held_for(facts: Facts, holder: Holder) -> timedelta:
    """Returns how long it has been open; where that is hidden, how long we have seen it."""
    if holder.held_for is not None:
        return holder.held_for
    return timedelta(seconds=facts.seconds if _seen_before(facts, holder) else 0)


def _seen_before(facts: Facts, holder: Holder) -> bool:
    """Whether the same session held the same before the run."""
    held = (holder.pid, holder.xmin, holder.xid)
    return held in {(before.pid, before.xmin, before.xid) for before in facts.before.holders}


def _level(age: timedelta) -> Level:
    return Level.BAD if age >= _VERY_OLD else Level.WARN


def _who(holder: Holder, age: timedelta) -> str:
    at_least = "" if holder.held_for is not None else "at least "
    known = [f"user {clean(holder.user)}"]
    if holder.application:
        known.append(f"application {clean(holder.application)}")
    if holder.state:
        known.append(holder.state)
    return f"pid {holder.pid} ({', '.join(known)}), for {at_least}{_words(age)}"


def _end(holder: Holder) -> str:
    return f"select pg_terminate_backend({holder.pid});"


def _words(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    return f"{seconds // 3600} hours" if seconds < 172_800 else f"{seconds // 86_400} days"


JUDGES: tuple[Judge, ...] = (snapshots, transactions, prepared, slots)
