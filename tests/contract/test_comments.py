"""Everything public explains itself in psql: the SQL reference is made from these comments."""

from __future__ import annotations

import re

import pytest

LABELS = ["Returns", "Raises", "State", "Role", "Repeat"]


@pytest.fixture(scope="module")
def functions(shared_db):
    """The comment of every public function."""
    found = shared_db.execute(
        "select proname, obj_description(oid, 'pg_proc') as comment from pg_proc"
        " where pronamespace = 'rowqueue'::regnamespace and proname !~ '^_'"
    )
    return {row.proname: row.comment or "" for row in found}


def test_every_public_function_says_what_it_does_and_the_five_things_that_a_caller_asks(functions):
    for name, comment in functions.items():
        first, *labelled = comment.split("\n")
        assert re.match(r"[A-Z].*\.$", first), name
        assert [line.split(": ")[0] for line in labelled] == LABELS, name
        assert all(re.match(r"\w+: .+\.$", line) for line in labelled), name


def test_a_comment_names_the_codes_that_its_function_raises_itself(functions, shared_db):
    found = shared_db.execute(
        "select proname, prosrc from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        " and proname !~ '^_'"
    )
    for row in found:
        raised = set(re.findall(r"errcode = '(\w{5})'", row.prosrc))
        if "_reject" in row.prosrc or "_check" in row.prosrc:
            raised.add("22023")
        if "_raise_lost" in row.prosrc:
            raised |= {"RQ101", "RQ102", "RQ001"}
        if "_raise_not_found" in row.prosrc:
            raised.add("RQ001")
        said = set(re.findall(r"\b(22023|RQ\d{3})\b", functions[row.proname]))
        assert raised <= said, row.proname


def test_a_comment_names_every_argument_that_needs_a_word(functions, shared_db):
    """All but those whose name and type say it."""
    plain = {"job_id", "token", "job_ids", "tokens", "job_type", "queue", "worker", "enabled"}
    plain |= {"workspace_id", "status", "payload", "queues", "lease"}
    found = shared_db.execute(
        "select proname, proargnames[1:pronargs] as arguments from pg_proc"
        " where pronamespace = 'rowqueue'::regnamespace and proname !~ '^_' and pronargs > 0"
    )
    for row in found:
        for argument in set(row.arguments) - plain:
            assert re.search(rf"\b{argument}\b", functions[row.proname]), (row.proname, argument)


def test_every_public_table_view_sequence_and_type_has_a_comment(shared_db):
    found = shared_db.execute(
        """
        select c.relname from pg_class as c
        where c.relnamespace = 'rowqueue'::regnamespace and c.relname !~ '^_'
        and c.relkind in ('r', 'p', 'v', 'm', 'S')
        and obj_description(c.oid, 'pg_class') is null
        and not exists (  -- an identity column's sequence belongs to its table
            select from pg_depend as d where d.objid = c.oid and d.deptype = 'i')
        union all
        select t.typname from pg_type as t join pg_class as c on c.oid = t.typrelid
        where t.typnamespace = 'rowqueue'::regnamespace and t.typname !~ '^_'
        and c.relkind = 'c' and obj_description(t.oid, 'pg_type') is null
        union all
        select t.typname from pg_type as t
        where t.typnamespace = 'rowqueue'::regnamespace and t.typname !~ '^_'
        and t.typtype in ('d', 'e') and obj_description(t.oid, 'pg_type') is null"""
    )
    assert found.fetchall() == []


def test_every_column_has_a_comment(shared_db):
    """Those of partitions are their parent's."""
    found = shared_db.execute(
        """
        select c.relname, a.attname
        from pg_class as c join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace = 'rowqueue'::regnamespace and c.relname !~ '^_'
        and c.relkind in ('r', 'p', 'v', 'c') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped and col_description(c.oid, a.attnum) is null"""
    )
    assert found.fetchall() == []


def test_the_schema_itself_has_a_comment(shared_db):
    found = shared_db.execute("select obj_description('rowqueue'::regnamespace) as comment")
    assert found.fetchone().comment


def test_the_view_says_of_its_columns_what_the_table_says(shared_db):
    found = shared_db.execute(
        """
        select v.attname from pg_attribute as v
        left join pg_attribute as t on t.attrelid = 'rowqueue.jobs'::regclass
            and t.attname = v.attname
        where v.attrelid = 'rowqueue.job'::regclass and v.attnum > 0
        and col_description(v.attrelid, v.attnum)
            is distinct from col_description(t.attrelid, t.attnum)"""
    )
    assert found.fetchall() == []
