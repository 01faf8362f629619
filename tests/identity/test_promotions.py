"""A standby that takes the place of its primary goes on; a copy of another name does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from identity.copies import session_on, worked_in
from servers.node import Node, own_node
from servers.pair import Pair, own_pair
from support.calls import claim, claim_one, enqueue, enqueue_many, refused, rows, value
from support.server import own_version
from support.waiting import eventually


@pytest.fixture
def pair() -> Iterator[Pair]:
    with own_pair(synchronous=False) as pair:
        yield pair


def test_a_failover_goes_on_and_gives_out_no_token_twice(pair: Pair) -> None:
    with session_on(pair.primary.url) as old:
        worked_in(old)
        kept = enqueue(old)
        held = claim_one(old)

        def followed() -> bool:
            with session_on(pair.standby.url) as standby:
                [row] = rows(standby, "get_job", job_id=kept) or [None]
                return row is not None and row.status == "running"

        eventually(followed, what="the standby to follow")
        # These are lost: the standby does not hear of them any more.
        old.execute("alter system set max_wal_senders = 0")
        old.execute("select pg_terminate_backend(pid) from pg_stat_replication")
        with session_on(pair.standby.url) as standby:
            standby.execute("alter system set primary_conninfo = ''")
            standby.execute("select pg_reload_conf()")
            eventually(
                lambda: not standby.execute("select from pg_stat_wal_receiver").fetchall(),
                what="the standby to be cut off",
            )
        enqueue_many(old, *[{}] * 50)
        lost = {row.token for row in claim(old, 50)}
    pair.fail_over()

    with session_on(pair.primary.url) as new:
        rows(new, "complete", job_id=kept, token=held.token)
        enqueue_many(new, *[{}] * 50)
        drawn = {row.token for row in claim(new, 50)}
        assert len(drawn) == 50
        assert min(drawn) > max(lost)
        [identity] = new.execute("select timeline from rowqueue.identity").fetchall()
        assert identity.timeline == 2
        # Once is enough.
        enqueue(new)
        with session_on(pair.primary.url) as another:
            assert claim_one(another).token == max(drawn) + 1
        assert value(new, "confirm_identity") is False


def test_a_session_that_outlives_the_promotion_asks_then(pair: Pair) -> None:
    with session_on(pair.primary.url) as old:
        worked_in(old)
        job_id = enqueue(old)
        eventually(lambda: _has(pair.standby, job_id), what="the standby to have the job")
    with session_on(pair.standby.url) as session:
        # One that finds nothing writes nothing, and so succeeds.
        assert claim(session, queues=["empty"]) == []
        with refused(session, "25006"):
            claim(session)
        pair.fail_over()
        assert claim_one(session).token > 10**15


def test_servers_that_are_named_take_over_and_copies_of_them_do_not() -> None:
    """A base backup that is promoted is a failover in all but the name of its server."""
    with own_node(settings={"cluster_name": "one"}) as one:
        with session_on(one.url) as session:
            job_id = enqueue(worked_in(session))
            assert value(session, "confirm_identity", servers=["one", "two"]) is False
        for name, welcome in (("two", True), ("staging", False)):
            copy = Node(own_version(), {"cluster_name": name})
            try:
                copy.copy(one)
                eventually(lambda copy=copy: _has(copy, job_id), what="the copy to follow")
                copy.promote()
                with session_on(copy.url) as there:
                    if not welcome:
                        with refused(there, "RQ203") as caught:
                            claim(there)
                        said = str(caught.value)
                        assert "cluster_name is 'staging', which is none of {one,two}" in said
                        assert value(there, "confirm_identity", servers=["staging"]) is True
                    assert claim_one(there).id == job_id
            finally:
                copy.remove()


def _has(node: Node, job_id: object) -> bool:
    with session_on(node.url) as session:
        return bool(rows(session, "get_job", job_id=job_id))
