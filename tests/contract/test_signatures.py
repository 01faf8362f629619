"""The names that other people's code depends on: functions, types and error codes."""

from __future__ import annotations

import re

import pytest

# name: (arguments as written, with defaults; result)
CONTRACT = {
    "enqueue": (
        "job_type text, payload jsonb DEFAULT '{}', workspace_id uuid DEFAULT NULL, "
        "priority integer DEFAULT 0, run_after timestamp with time zone DEFAULT NULL, "
        "max_attempts integer DEFAULT 3, timeout_ms integer DEFAULT 600000, "
        "unique_key text DEFAULT NULL, queue text DEFAULT 'default'",
        "uuid",
    ),
    "enqueue_many": ("jobs jsonb", "TABLE(ordinal integer, id uuid, created boolean)"),
    "claim_next": (
        "worker text, queues text[] DEFAULT '{default}', max_jobs integer DEFAULT 1, "
        "lease interval DEFAULT '00:01:00'",
        "SETOF rowqueue.claimed_job",
    ),
    "complete": ("job_id uuid, token bigint, result jsonb DEFAULT NULL", "void"),
    "complete_many": (
        "job_ids uuid[], tokens bigint[], results jsonb[] DEFAULT NULL",
        "TABLE(id uuid, outcome text)",
    ),
    "fail_with_backoff": (
        "job_id uuid, token bigint, error text, retry boolean DEFAULT true, "
        "retry_after interval DEFAULT NULL",
        "text",
    ),
    "report_progress": (
        "job_id uuid, token bigint, current numeric, total numeric DEFAULT NULL, "
        "message text DEFAULT NULL",
        "boolean",
    ),
    "extend_lease": ("job_id uuid, token bigint, lease interval DEFAULT '00:01:00'", "boolean"),
    "extend_leases": (
        "job_ids uuid[], tokens bigint[], lease interval DEFAULT '00:01:00'",
        "TABLE(id uuid, outcome text)",
    ),
    "release": ("job_id uuid, token bigint, delay interval DEFAULT '00:00:00'", "void"),
    "cancel": ("job_id uuid, reason text DEFAULT NULL", "text"),
    "retry": ("job_id uuid", "void"),
    "reap_stuck": ("max_jobs integer DEFAULT 1000", "TABLE(id uuid, outcome text)"),
    "tick": ("", "jsonb"),
    "tick_every": ("period interval", "jsonb"),
    "get_job": ("job_id uuid", "SETOF rowqueue.job"),
    "list_jobs": (
        "workspace_id uuid DEFAULT NULL, status text DEFAULT NULL, job_type text DEFAULT NULL, "
        "max_jobs integer DEFAULT 20, before uuid DEFAULT NULL",
        "SETOF rowqueue.job",
    ),
    "purge_finished": (
        "older_than interval DEFAULT '30 days', max_jobs integer DEFAULT 10000",
        "bigint",
    ),
    "health": ("", "SETOF rowqueue.queue_health"),
    "version": ("", "text"),
}

# Public too, and documented, but no part of the contract.
BEYOND_THE_CONTRACT = {
    "mark_idle": ("", "boolean"),
    "set_notify": ("enabled boolean", "void"),
    "grant_roles": ("", "void"),
    "confirm_identity": ("servers text[] DEFAULT NULL", "boolean"),
    "doctor": ("", "SETOF rowqueue.finding"),
}

CLAIMED_JOB = (
    "id token queue job_type workspace_id payload priority attempts max_attempts timeout_ms "
    "created_at lease_until alone"
)
JOB = (
    "id workspace_id job_type status priority payload progress result error last_error attempts "
    "max_attempts created_at started_at completed_at run_after timeout_ms queue unique_key worker "
    "lease_until cancel_requested_at crashes"
)
QUEUE_HEALTH = (
    "queue pending due running stuck failed_last_hour failure_rate_last_hour oldest_due_age"
)

FINDING = "severity name what why remedy"

ERROR_CODES = {
    "22023": "invalid_argument",
    "RQ001": "job_not_found",
    "RQ101": "lease_lost",
    "RQ102": "wrong_state",
    "RQ103": "not_storable",
    "RQ104": "key_conflict",
    "RQ201": "paused",
    "RQ202": "over_quota",
    "RQ203": "identity_unconfirmed",
}


@pytest.fixture(scope="module")
def public(shared_db):
    """The arguments and the result of every public function, as the catalogue has them."""
    found = shared_db.execute(
        "select p.proname, pg_get_function_arguments(p.oid) as arguments,"
        " pg_get_function_result(p.oid) as result"
        " from pg_proc as p"
        " where p.pronamespace = 'rowqueue'::regnamespace and p.proname !~ '^_'"
    )
    return {
        row.proname: (re.sub(r"::[a-z ]+(\[\])?", "", row.arguments), row.result) for row in found
    }


@pytest.mark.parametrize("name", [*CONTRACT, *BEYOND_THE_CONTRACT])
def test_a_function_has_the_arguments_the_defaults_and_the_result_of_the_contract(public, name):
    assert public[name] == {**CONTRACT, **BEYOND_THE_CONTRACT}[name]


def test_there_is_no_public_function_beyond_these(public):
    assert public.keys() == CONTRACT.keys() | BEYOND_THE_CONTRACT.keys()


def test_no_name_is_overloaded(shared_db):
    """Private ones neither: a call of a function by its name alone is never ambiguous."""
    found = shared_db.execute(
        "select proname from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        " group by proname having count(*) > 1"
    )
    assert found.fetchall() == []


def test_no_argument_of_a_public_function_is_an_enum_a_smallint_or_a_composite(shared_db):
    """A literal or a driver's plain integer fits every one of them."""
    found = shared_db.execute(
        """
        select p.proname, t.typname
        from pg_proc as p
        cross join lateral unnest(p.proargtypes) as argument(oid)
        join pg_type as a on a.oid = argument.oid
        join pg_type as t on t.oid = case when a.typelem <> 0 then a.typelem else a.oid end
        where p.pronamespace = 'rowqueue'::regnamespace and p.proname !~ '^_'
        and (t.typtype in ('e', 'c', 'd', 'p') or t.typname = 'int2')"""
    )
    assert found.fetchall() == []


def test_every_public_function_can_be_called_with_named_arguments(shared_db):
    found = shared_db.execute(
        "select proname from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        " and proname !~ '^_' and pronargs > 0"
        " and (proargnames is null or '' = any(proargnames) or provariadic <> 0)"
    )
    assert found.fetchall() == []


@pytest.mark.parametrize(
    ("relation", "columns"),
    [
        ("claimed_job", CLAIMED_JOB),
        ("finding", FINDING),
        ("job", JOB),
        ("queue_health", QUEUE_HEALTH),
    ],
)
def test_a_row_has_these_columns_first_and_grows_at_its_end_only(shared_db, relation, columns):
    found = shared_db.execute(
        "select attname from pg_attribute where attrelid = %s::regclass"
        " and attnum > 0 and not attisdropped order by attnum",
        [f"rowqueue.{relation}"],
    )
    names = [row.attname for row in found]
    assert names[: len(columns.split())] == columns.split()


def test_the_error_codes_are_those_of_the_contract(shared_db):
    found = shared_db.execute("select code, name, meaning from rowqueue.error_codes").fetchall()
    assert {row.code: row.name for row in found} == ERROR_CODES
    assert all(row.meaning for row in found)


def test_every_code_that_a_function_raises_is_in_the_list(shared_db):
    """Written as errcode = '…', or handed to _reject; and no error goes out without one.

    A code that another function catches by name never gets out.
    """
    found = shared_db.execute(
        "select proname, prosrc from pg_proc where pronamespace = 'rowqueue'::regnamespace"
    ).fetchall()
    caught = {code for row in found for code in re.findall(r"when sqlstate '(\w+)'", row.prosrc)}
    for row in found:
        codes = re.findall(r"'((?:RQ|\d\d)[0-9A-Z]{3})'", row.prosrc)
        assert set(codes) <= ERROR_CODES.keys() | caught, row.proname
        raised = re.findall(r"raise exception [^;]*;", row.prosrc)
        assert all("errcode" in statement for statement in raised), row.proname


def test_a_status_is_one_of_five(shared_db):
    found = shared_db.execute(
        "select pg_get_constraintdef(oid) as text from pg_constraint"
        " where conrelid = 'rowqueue.jobs'::regclass and conname = 'jobs_status_known'"
    )
    words = re.findall(r"'(\w+)'", found.fetchone().text)
    assert words == ["pending", "running", "completed", "failed", "cancelled"]
