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
    "observer": {(name, "SELECT") for name in ("error_codes", "finding_kinds", "job")},
    "admin": {
        *((name, "SELECT") for name in ("error_codes", "finding_kinds", "job", "grants")),
        *((name, "SELECT") for name in ("lanes", "ceilings", "watermarks", "identity")),
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


def test_what_a_function_executes_is_put_together_by_format(shared_db):
    """Names go through %I; the one %s is a privilege, from a table that only the owner writes."""
    found = shared_db.execute(
        "select proname, prosrc from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        r" and prosrc ~ '\mexecute\M'"
    )
    for function, body in found.fetchall():
        for statement in re.findall(r"\bexecute\b[^;]*;", re.sub(r"--.*", "", body)):
            assert statement.startswith(("execute format(", "execute format\n")), statement
            if "%s" in statement:
                assert function in {"_grant", "grant_roles"}, statement


def test_no_unique_index_spans_workspaces(shared_db):
    """So no duplicate that one meets can be another's: but for ids, which nobody chooses."""
    found = shared_db.execute(
        """
        select c.relname, pg_get_indexdef(i.indexrelid, 1, true) as first
        from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        join pg_class as t on t.oid = i.indrelid
        where t.relnamespace = 'rowqueue'::regnamespace and t.relname like 'jobs%'
        and i.indisunique and not i.indisprimary"""
    ).fetchall()
    assert {row.first for row in found} == {"workspace_id"}


def test_all_belongs_to_the_one_who_installed_it(shared_db):
    """A function of the owner's rights reaches what the owner owns, and no more."""
    found = shared_db.execute(
        """
        select proowner as owner from pg_proc where pronamespace = 'rowqueue'::regnamespace
        union
        select relowner from pg_class where relnamespace = 'rowqueue'::regnamespace
        union
        select typowner from pg_type where typnamespace = 'rowqueue'::regnamespace
        union
        select nspowner from pg_namespace where nspname = 'rowqueue'"""
    )
    assert len(found.fetchall()) == 1


def test_the_installation_leaves_no_rights_to_what_is_made_later(shared_db):
    """Each file revokes for itself, in the transaction that makes the function."""
    found = shared_db.execute("select from pg_default_acl where defaclnamespace <> 0")
    assert found.fetchall() == []


def test_no_setting_that_a_session_may_invent_tells_a_function_who_is_who(shared_db):
    """A setting with a dot belongs to whoever sets it. The one there is saves a second look."""
    found = shared_db.execute(
        "select proname, prosrc from pg_proc where pronamespace = 'rowqueue'::regnamespace"
    )
    read = {
        (row.proname, name)
        for row in found.fetchall()
        for name in re.findall(r"(?:current_setting|_setting)\('(\w+\.\w+)'", row.prosrc)
    }
    assert read == {("_identity_is_checked", "rowqueue.identity")}


def test_the_clock_cannot_be_set(shared_db):
    """Time comes from one function, and that asks PostgreSQL and nobody else."""
    found = shared_db.execute(
        "select prosrc from pg_proc where oid = 'rowqueue._now'::regproc"
    ).fetchone()
    assert found.prosrc.strip() == "select pg_catalog.clock_timestamp()"


def test_a_view_shows_a_row_to_no_role_but_those_that_may_list_them_all(shared_db):
    """Views run with their owner's rights: so they are granted to roles by name, in RELATIONS."""
    found = shared_db.execute(
        "select relname from pg_class where relnamespace = 'rowqueue'::regnamespace"
        " and relkind in ('v', 'm')"
    )
    assert {row.relname for row in found.fetchall()} == {"job"}
    assert {role for role, may in RELATIONS.items() if ("job", "SELECT") in may} == {
        "observer",
        "admin",
    }
