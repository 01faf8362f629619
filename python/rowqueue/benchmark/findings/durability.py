"""Settings that decide whether what is committed stays."""

from __future__ import annotations

from collections.abc import Iterator

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine, set_to, shown


def fsync(facts: Facts) -> Iterator[Finding]:
    """Without it, a crash of the machine can ruin the database."""
    name = "fsync"
    if facts.settings[name].text == "on":
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.BAD,
        shown(facts, name),
        "Nothing is waited for until it is on disk. After a power failure the whole database may"
        " be beyond repair. The rates above are not those of a safe server.",
        set_to(name, "on"),
    )


def full_page_writes(facts: Facts) -> Iterator[Finding]:
    """Without it, a page that was half written stays so."""
    name = "full_page_writes"
    if facts.settings[name].text == "on":
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.BAD,
        shown(facts, name),
        "A page that was half written when the machine went down can't be restored, unless the"
        " file system never tears pages.",
        set_to(name, "on"),
    )


def synchronous_commit(facts: Facts) -> Iterator[Finding]:
    """Whether a commit waits for the disk, and for whose."""
    name = "synchronous_commit"
    value = facts.settings[name].text
    replicated = facts.settings["synchronous_standby_names"].text != ""
    if value == "off":
        yield Finding(
            name,
            Level.BAD,
            shown(facts, name),
            "A commit does not wait for the disk. When the server goes down, jobs that were"
            " enqueued in the last moments are gone, and completed ones run again.",
            set_to(name, "on"),
        )
    elif value == "remote_apply" and replicated:
        yield Finding(
            name,
            Level.WARN,
            shown(facts, name),
            "Each commit waits until the replica has applied it, and so for what the replica is"
            " busy with. A queue is safe once the replica has it on disk.",
            set_to(name, "on"),
        )
    elif value == "local" and replicated:
        yield Finding(
            name,
            Level.WARN,
            shown(facts, name),
            "There is a synchronous replica, but commits don't wait for it: a failover loses jobs.",
            set_to(name, "on"),
        )
    else:
        yield fine(name, shown(facts, name))


JUDGES: tuple[Judge, ...] = (fsync, full_page_writes, synchronous_commit)
