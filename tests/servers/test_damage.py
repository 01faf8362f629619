"""A page of the live table is damaged: what still works, and what brings the rest back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from servers.ask import ask
from servers.node import Node, own_node
from support.calls import claim, enqueue, refused, rows, running

PAGE = 8192
DAMAGED = "XX001"


@pytest.fixture
def node() -> Iterator[Node]:
    with own_node() as node:
        yield node


@dataclass(frozen=True, slots=True)
class Damage:
    """What was there when the page broke.

    Attributes:
        before: jobs that come before those on the page, in their lane.
        lost: the jobs on the page.
        after: jobs of the same lane that come after.
        elsewhere: a job of another queue.
        held: a running job on another page.
    """

    before: list[UUID]
    lost: list[UUID]
    after: list[UUID]
    elsewhere: UUID
    held: Any


@pytest.fixture
def damage(node: Node) -> Damage:
    """Breaks one page in the middle of a lane, as a disk does: nobody sees it before it is read."""
    with node.connect() as db:
        lane = [enqueue(db, payload={"x": os.urandom(700).hex()}) for _ in range(60)]
        elsewhere = enqueue(db, queue="other")
        held = running(db)
        page = "select (ctid::text::point)[0]::int as page from rowqueue.jobs_live where id = %s"
        broken = ask(db, page, [lane[30]]).page
        on_it = {
            row.id
            for row in db.execute(
                "select id from rowqueue.jobs_live where (ctid::text::point)[0]::int = %s", [broken]
            )
        }
        file = ask(db, "select pg_relation_filepath('rowqueue.jobs_live') as path").path
        checksums = ask(db, "show data_checksums").data_checksums
    node.stop()
    if checksums == "off":
        node.run("pg_checksums", "--enable", "--no-sync", f"--pgdata={node.data}")
    with (node.data / file).open("r+b") as relation:
        relation.seek(broken * PAGE + PAGE // 2)
        relation.write(os.urandom(512))
    node.start()
    first, last = min(map(lane.index, on_it)), max(map(lane.index, on_it))
    return Damage(lane[:first], lane[first : last + 1], lane[last + 1 :], elsewhere, held)


def test_a_damaged_page_stops_its_own_lane_and_nothing_else(node: Node, damage: Damage) -> None:
    with node.connect() as db:
        assert [one.id for one in claim(db, len(damage.before))] == damage.before
        with refused(db, DAMAGED):
            claim(db)
        # Other lanes, what runs, and what is called by its id go on.
        assert [one.id for one in claim(db, queues=["other"])] == [damage.elsewhere]
        rows(db, "complete", job_id=damage.held.id, token=damage.held.token)
        assert db.execute("select rowqueue.cancel(%s)", [damage.after[-1]]).fetchone() == (
            "cancelled",
        )
        # So do leases: a worker of another lane dies, and its job is taken back.
        expire = "update rowqueue.jobs set lease_until = now() where id = %s"
        db.execute(expire, [damage.elsewhere])
        assert ask(db, "select rowqueue.tick() ->> 'reaped' as reaped").reaped == "1"
        new = enqueue(db, queue="other")
        assert [one.id for one in claim(db, queues=["other"])] == [new]

        # The page is beyond repair. Given up, its lane goes on behind it.
        db.execute("set zero_damaged_pages = on")
        db.execute("vacuum (disable_page_skipping) rowqueue.jobs_live")
        db.execute("reset zero_damaged_pages")
        assert [one.id for one in claim(db, 1000)] == damage.after[:-1]
        for one in damage.lost:
            with refused(db, "RQ001"), db.transaction():
                db.execute("select rowqueue.cancel(%s)", [one])
