"""Whether dead rows are cleared away."""

from __future__ import annotations

from collections.abc import Iterator

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine, set_to, shown

_HOT_TABLES = ("jobs_live", "lanes", "watermarks")
_OFF = ("off", "false", "no", "0")
_MANY = 100_000
_TOO_MANY = 5


def autovacuum(facts: Facts) -> Iterator[Finding]:
    """Without it, the table of live jobs grows with every job that ever was."""
    name = "autovacuum"
    if facts.settings[name].text == "on":
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.BAD,
        shown(facts, name),
        "Nothing clears away what claims and completions leave behind. The table of live jobs"
        " grows with every job, and everything that reads it slows down.",
        set_to(name, "on"),
    )


def track_counts(facts: Facts) -> Iterator[Finding]:
    """Without it, autovacuum does not know where to go."""
    name = "track_counts"
    if facts.settings[name].text == "on":
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.BAD,
        shown(facts, name),
        "Autovacuum goes by these counts. Without them it clears nothing away, whatever its own"
        " setting says.",
        set_to(name, "on"),
    )


def table_options(facts: Facts) -> Iterator[Finding]:
    """Autovacuum can be switched off for a table, too."""
    name = "table autovacuum"
    switched_off = [
        table
        for table in _HOT_TABLES
        if facts.after.options.get(table, {}).get("autovacuum_enabled", "true") in _OFF
    ]
    if not switched_off:
        yield fine(name, "on for rowqueue's tables, too")
    for table in switched_off:
        yield Finding(
            name,
            Level.BAD,
            f"autovacuum_enabled = off on rowqueue.{table}",
            "Nothing clears this table, which changes with every job. It grows, and everything"
            " that reads it slows down.",
            f"alter table rowqueue.{table} reset (autovacuum_enabled);",
        )


def dead_rows(facts: Facts) -> Iterator[Finding]:
    """Whether autovacuum keeps up, by what there was before the run."""
    name = "dead rows"
    look = facts.before
    seen = f"{look.dead_rows:,} dead rows beside {look.live_rows:,} live ones"
    if look.dead_rows < max(_MANY, _TOO_MANY * look.live_rows):
        yield fine(name, seen)
        return
    yield Finding(
        name,
        Level.WARN,
        seen,
        "Autovacuum does not keep up, or something old and open keeps it from its work. Claims stay"
        " fast, other queries of the table don't.",
        "vacuum (verbose) rowqueue.jobs_live;",
    )


JUDGES: tuple[Judge, ...] = (autovacuum, track_counts, table_options, dead_rows)
