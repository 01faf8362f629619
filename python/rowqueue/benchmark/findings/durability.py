"""How long a commit waits, and for whom. Whether it is safe, doctor() tells."""

from __future__ import annotations

from collections.abc import Iterator

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine, set_to, shown


def synchronous_commit(facts: Facts) -> Iterator[Finding]:
    """Whether a commit waits for the disk, and for whose."""
    name = "synchronous_commit"
    value = facts.settings[name].text
    replicated = facts.settings["synchronous_standby_names"].text != ""
    if value == "remote_apply" and replicated:
        yield Finding(
            name,
            Level.WARN,
            shown(facts, name),
            "Each commit waits until the replica has applied it, and so for what the replica is"
            " busy with. A queue is safe once the replica has it on disk.",
            set_to(name, "on"),
        )
    else:
        yield fine(name, shown(facts, name))


JUDGES: tuple[Judge, ...] = (synchronous_commit,)
