"""rowqueue.report_progress: how far a running job is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from support.calls import job, refused, rows, running, stored, value


def report(session, held, current, total=None, message=None):
    """Reports for a claimed job and returns what the function says."""
    arguments = {"current": current, "total": total, "message": message}
    return value(session, "report_progress", job_id=held.id, token=held.token, **arguments)


def test_progress_is_an_object_of_current_total_and_message(tx):
    held = running(tx)
    assert report(tx, held, 10, 100, "Processing contacts (page 1 of 10)…") is True
    assert job(tx, held.id).progress == {
        "current": 10,
        "total": 100,
        "message": "Processing contacts (page 1 of 10)…",
    }


def test_total_and_message_are_null_while_they_are_not_known(tx):
    held = running(tx)
    value(tx, "report_progress", job_id=held.id, token=held.token, current=7)
    assert job(tx, held.id).progress == {"current": 7, "total": None, "message": None}


def test_the_latest_report_counts(tx):
    held = running(tx)
    report(tx, held, 1, 10, "one")
    report(tx, held, 2, 10)
    assert job(tx, held.id).progress == {"current": 2, "total": 10, "message": None}


def test_progress_never_moves_backwards(tx):
    held = running(tx)
    report(tx, held, 5, 10, "five")
    assert report(tx, held, 4, 10, "four") is True
    assert job(tx, held.id).progress == {"current": 5, "total": 10, "message": "five"}


def test_progress_without_a_total_never_moves_backwards_either(tx):
    held = running(tx)
    report(tx, held, 5)
    report(tx, held, 4)
    assert job(tx, held.id).progress["current"] == 5


def test_with_another_total_the_count_begins_anew(tx):
    held = running(tx)
    report(tx, held, 5, 10)
    report(tx, held, 4, 20)
    assert job(tx, held.id).progress["current"] == 4


@pytest.mark.parametrize(
    ("current", "kept"),
    [
        (0, "0"),
        (Decimal("0.5"), "0.5"),
        (Decimal("1.23456789"), "1.234568"),
        (Decimal("3." + "0" * 9000), "3"),
        (10**15, "1000000000000000"),
    ],
    ids=["zero", "fraction", "rounded", "nine thousand zeros", "the largest"],
)
def test_numbers_are_kept_with_up_to_six_decimals(tx, current, kept):
    held = running(tx)
    report(tx, held, current)
    assert stored_current(tx, held.id) == kept


def stored_current(session, job_id):
    """The number as Postgres writes it out."""
    found = session.execute(
        "select progress ->> 'current' as current from rowqueue.jobs where id = %s", [job_id]
    )
    return found.fetchone().current


def test_a_long_message_is_cut_at_1024_bytes_between_characters(tx):
    held = running(tx)
    report(tx, held, 1, message="é" * 1000 + "x")
    assert job(tx, held.id).progress["message"] == "é" * 512


def test_it_says_false_once_a_cancellation_was_requested(tx):
    held = running(tx)
    value(tx, "cancel", job_id=held.id)
    assert report(tx, held, 1, 10) is False
    assert report(tx, held, 0, 10) is False
    assert job(tx, held.id).progress["current"] == 1


def test_it_does_not_extend_the_lease(tx, clock):
    held = running(tx)
    clock.advance(seconds=30)
    report(tx, held, 1)
    assert job(tx, held.id).lease_until == held.lease_until


def test_another_token_is_refused_and_changes_nothing(tx):
    held = running(tx)
    before = stored(tx, held.id)
    with refused(tx, "RQ101"):
        report(tx, held._replace(token=held.token + 1), 1)
    assert stored(tx, held.id) == before


def test_the_error_of_a_lost_lease_says_what_became_of_the_job(tx):
    held = running(tx)
    rows(tx, "release", job_id=held.id, token=held.token)
    with refused(tx, "RQ101") as caught:
        report(tx, held, 1)
    assert str(held.id) in caught.value.diag.message_primary
    assert "pending" in caught.value.diag.message_detail
    assert caught.value.diag.message_hint
