"""Who may do what, read from the catalogue: the rules hold for functions to come as well."""

from __future__ import annotations

import re

import pytest

from support.calls import rows

ROLES = ["producer", "worker", "observer", "admin"]

# What a role may do with tables and views. Everything else goes through the functions.
RELATIONS = {
    "producer": {("error_codes", "SELECT")},
    "worker": {("error_codes", "SELECT")},
    "observer": {("error_codes", "SELECT"), ("job", "SELECT")},
    "admin": {
        *(
            (name, "SELECT")
            for name in ("error_codes", "job", "grants", "lanes", "ceilings", "watermarks")
        ),
        *(("jobs", privilege) for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    },
}

FUNCTIONS = """
    select
        p.proname as name,
        p.proname ~ '^_' as private,
        p.prosecdef as definer,
        p.prokind::text as kind,
        p.proconfig as settings,
        p.proacl is null as never_revoked,
        l.lanname as language,
        obj_description(p.oid, 'pg_proc') as comment,
        array(
            select coalesce(r.rolname, 'PUBLIC')
            from aclexplode(p.proacl) as a
            left join pg_roles as r on r.oid = a.grantee
            where a.grantee <> p.proowner
            order by 1
        ) as grantees
    from pg_proc as p
    join pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'rowqueue'::regnamespace"""


@pytest.fixture(scope="module")
def functions(shared_db):
    """Every function and procedure of the schema."""
    return shared_db.execute(FUNCTIONS).fetchall()


def names(functions):
    return [function.name for function in functions]


def test_public_functions_run_as_their_owner_with_a_path_that_nobody_else_can_write(functions):
    """pg_temp is named, and last: unnamed it is searched first, and it is the caller's."""
    public = [function for function in functions if not function.private]
    assert len(public) > 20
    odd = [
        function
        for function in public
        if not function.definer or "search_path=pg_catalog, pg_temp" not in function.settings
    ]
    assert names(odd) == []


def test_public_functions_are_plpgsql(functions):
    """An SQL function takes ``where queue = queue`` for two columns, and says nothing."""
    odd = [f for f in functions if not f.private and (f.language, f.kind) != ("plpgsql", "f")]
    assert names(odd) == []


def test_private_functions_run_as_their_caller(functions):
    """All but the trigger: an admin may change rowqueue.jobs, and not the tables behind it."""
    assert names(f for f in functions if f.private and f.definer) == ["_changed_by_hand"]


def test_private_functions_have_the_same_path_or_none_of_their_own(functions):
    """One without settings can be inlined, and is only reached from a function with the path."""
    odd = [
        f
        for f in functions
        if f.private and f.settings and "search_path=pg_catalog, pg_temp" not in f.settings
    ]
    assert names(odd) == []
    unpinned = [f for f in functions if f.private and not f.settings]
    assert {f.language for f in unpinned} == {"sql"}


def test_private_functions_are_granted_to_nobody(functions):
    assert names(f for f in functions if f.private and f.grantees) == []


def test_nothing_can_be_executed_by_public(functions):
    """A new function can be, until somebody revokes it: an access list that is null says so."""
    assert names(f for f in functions if f.never_revoked or "PUBLIC" in f.grantees) == []


def test_a_public_function_is_granted_to_the_roles_that_its_comment_names(functions):
    for function in functions:
        if not function.private:
            line = re.search(r"^Role: (.*)\.$", function.comment, flags=re.MULTILINE)
            assert line, function.name
            named = sorted(f"rowqueue_{role}" for role in line[1].split(", "))
            assert function.grantees == named, function.name


def test_the_admin_may_call_every_public_function(functions):
    public = [f for f in functions if not f.private]
    assert names(f for f in public if "rowqueue_admin" not in f.grantees) == []


@pytest.mark.parametrize("role", ROLES)
def test_tables_are_private_but_for_what_the_role_needs_to_read(shared_db, role):
    rows(shared_db, "tick")
    found = shared_db.execute(
        """
        select c.relname, a.privilege_type
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'rowqueue'::regnamespace and a.grantee = %s::regrole""",
        [f"rowqueue_{role}"],
    )
    assert {tuple(row) for row in found} == RELATIONS[role]


def test_public_has_nothing_in_the_schema_and_no_right_to_use_it(shared_db):
    found = shared_db.execute(
        """
        select c.relname from pg_class as c cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'rowqueue'::regnamespace and a.grantee = 0
        union all
        select t.typname from pg_type as t cross join lateral aclexplode(t.typacl) as a
        where t.typnamespace = 'rowqueue'::regnamespace and a.grantee = 0
        union all
        select n.nspname from pg_namespace as n cross join lateral aclexplode(n.nspacl) as a
        where n.nspname = 'rowqueue' and a.grantee = 0"""
    )
    assert found.fetchall() == []


def test_columns_have_no_grants_of_their_own(shared_db):
    found = shared_db.execute(
        "select attname from pg_attribute join pg_class as c on c.oid = attrelid"
        " where c.relnamespace = 'rowqueue'::regnamespace and attacl is not null"
    )
    assert found.fetchall() == []


@pytest.mark.parametrize("role", ROLES)
def test_the_roles_are_groups_that_nobody_logs_in_as(shared_db, role):
    found = shared_db.execute(
        "select rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication"
        " from pg_roles where rolname = %s",
        [f"rowqueue_{role}"],
    )
    assert set(found.fetchone()) == {False}


def test_no_role_may_grant_on_what_it_has(shared_db):
    found = shared_db.execute(
        """
        select p.proname from pg_proc as p cross join lateral aclexplode(p.proacl) as a
        where p.pronamespace = 'rowqueue'::regnamespace and a.is_grantable
        and a.grantee <> p.proowner"""
    )
    assert found.fetchall() == []


def test_the_grants_are_those_that_grant_roles_would_repeat(shared_db):
    """The list in rowqueue.grants, and what was granted, are the same."""
    acl = """
        select array_agg(distinct (p.proname, r.rolname)::text) as acl
        from pg_proc as p cross join lateral aclexplode(p.proacl) as a
        join pg_roles as r on r.oid = a.grantee and r.oid <> p.proowner
        where p.pronamespace = 'rowqueue'::regnamespace"""
    before = shared_db.execute(acl).fetchone().acl
    with shared_db.transaction(force_rollback=True):
        shared_db.execute(
            "revoke all on all functions in schema rowqueue from rowqueue_producer,"
            " rowqueue_worker, rowqueue_observer, rowqueue_admin"
        )
        assert shared_db.execute(acl).fetchone().acl is None
        rows(shared_db, "grant_roles")
        assert shared_db.execute(acl).fetchone().acl == before


def test_no_function_builds_sql_but_those_that_make_and_drop_tables_and_grants(
    functions, shared_db
):
    found = shared_db.execute(
        "select proname from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        r" and prosrc ~ '\mexecute\M' order by proname"
    )
    assert [row.proname for row in found] == [
        "_grant",
        "_make_partitions",
        "grant_roles",
        "purge_finished",
    ]


def test_there_are_no_foreign_keys_and_no_triggers_but_one_for_changes_by_hand(shared_db):
    """That one fires once a statement, and only where rowqueue.jobs is named."""
    found = shared_db.execute(
        """
        select tgname from pg_trigger join pg_class as c on c.oid = tgrelid
        where c.relnamespace = 'rowqueue'::regnamespace
        and (tgname, tgrelid, tgtype & 1) <> ('changed_by_hand', 'rowqueue.jobs'::regclass, 0)
        union all
        select conname from pg_constraint
        where connamespace = 'rowqueue'::regnamespace and contype = 'f'"""
    )
    assert found.fetchall() == []
