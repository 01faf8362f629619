"""rowqueue.get_job: one job, in whatever state."""

from __future__ import annotations

from uuid import UUID

import pytest

from support.calls import NOBODY, enqueue, everything, job, rows, running, value


def seen(session, job_id):
    return [row.status for row in rows(session, "get_job", job_id=job_id)]


def test_it_shows_a_job_in_every_state_of_its_life(tx):
    held = running(tx)
    assert seen(tx, held.id) == ["running"]
    rows(tx, "release", job_id=held.id, token=held.token)
    assert seen(tx, held.id) == ["pending"]
    value(tx, "cancel", job_id=held.id)
    assert seen(tx, held.id) == ["cancelled"]


@pytest.mark.parametrize(
    "job_id",
    [NOBODY, UUID("01890000-0000-4000-8000-000000000000"), UUID(int=0), UUID(int=2**128 - 1)],
    ids=str,
)
def test_there_is_no_row_for_an_id_that_no_job_has(tx, job_id):
    enqueue(tx)
    assert rows(tx, "get_job", job_id=job_id) == []


def test_its_columns_are_those_of_the_view(tx):
    job_id = enqueue(tx)
    shown = tx.execute("select * from rowqueue.job where id = %s", [job_id]).fetchone()
    assert job(tx, job_id) == shown


def test_reading_changes_nothing(tx):
    job_id = enqueue(tx)
    before = everything(tx)
    job(tx, job_id)
    assert everything(tx) == before
