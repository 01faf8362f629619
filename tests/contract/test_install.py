"""Installing: as anyone who may create a schema, with or without the right to create roles."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from support.calls import claim_one, enqueue, everything, refused, rows, running, value

SQL = Path(__file__).parents[2] / "sql"
NAMES = ["producer", "worker", "observer", "admin"]

# Roles belong to the whole server, and other databases on it have those of rowqueue. These tests
# install a copy in which they have another name, in a transaction that is rolled back.
PREFIX = f"rowqueue{os.getpid()}_"


def script() -> str:
    """Returns what install.sql installs: the files that it includes, in its order."""
    map_ = (SQL / "install.sql").read_text(encoding="utf-8")
    files = re.findall(r"^\\ir (\S+)$", map_, flags=re.MULTILINE)
    return "\n".join((SQL / file).read_text(encoding="utf-8") for file in files)


@pytest.fixture
def empty(empty_dsn):
    """A session on a database without the schema, in a transaction that will be rolled back."""
    with (
        psycopg.connect(empty_dsn, autocommit=True, row_factory=namedtuple_row) as session,
        session.transaction(force_rollback=True),
    ):
        yield session


def install_as(session, options):
    """Installs as a new user with these options; returns the notices and hints about roles."""
    installer = f"{PREFIX}installer"
    session.execute(f"create role {installer} {options}")
    session.execute(f"grant create on database {session.info.dbname} to {installer}")
    notices = []
    session.add_notice_handler(
        lambda said: notices.append((said.message_primary, said.message_hint))
    )
    session.execute(f"set local role {installer}")
    session.execute(script().replace("rowqueue_", PREFIX))
    return [(notice, hint) for notice, hint in notices if notice.startswith("role ")]


def roles(session):
    """Returns those of the four roles that exist."""
    found = session.execute("select rolname from pg_roles where starts_with(rolname, %s)", [PREFIX])
    return {row.rolname.removeprefix(PREFIX) for row in found} - {"installer"}


def test_a_user_who_may_not_create_roles_can_install_and_use_the_queue(empty):
    install_as(empty, "nosuperuser nocreaterole")
    assert roles(empty) == set()
    job_id = enqueue(empty)
    held = claim_one(empty)
    assert held.id == job_id
    rows(empty, "complete", job_id=held.id, token=held.token)
    rows(empty, "tick")
    assert value(empty, "purge_finished") == 0


def test_the_notices_say_what_to_run_and_that_is_all_it_takes(empty):
    notices = install_as(empty, "nosuperuser nocreaterole")
    assert len(notices) == len(NAMES)
    for name, (notice, hint) in zip(NAMES, notices, strict=True):
        assert f"{PREFIX}{name}" in notice
        [create, grant] = re.findall(r'"((?:create|select) .*?)"[,.]', hint)
        empty.execute("reset role")
        empty.execute(create)
        empty.execute(f"set local role {PREFIX}installer")
        empty.execute(grant)

    assert roles(empty) == set(NAMES)
    empty.execute("reset role")
    empty.execute(f"set local role {PREFIX}producer")
    enqueue(empty)
    with refused(empty, "42501"):
        claim_one(empty)
    empty.execute(f"set local role {PREFIX}worker")
    claim_one(empty)
    empty.execute(f"set local role {PREFIX}admin")
    assert len(everything(empty)) == 1


def test_a_user_who_may_create_roles_gets_them_made_and_hears_no_notice(empty):
    assert install_as(empty, "nosuperuser createrole") == []
    assert roles(empty) == set(NAMES)
    empty.execute("reset role")
    empty.execute(f"set local role {PREFIX}worker")
    enqueue(empty)
    claim_one(empty)


def test_installing_once_more_changes_nothing(db):
    """Each file can be run again, in a database that is in use."""
    held = running(db)
    enqueue(db, unique_key="a")
    before = everything(db)
    with db.transaction():
        db.execute(script())
    assert everything(db) == before
    rows(db, "complete", job_id=held.id, token=held.token)
    assert running(db).token > held.token


def test_nothing_is_made_outside_of_the_schema(empty):
    count = """
        select
            (select count(*) from pg_class where relnamespace not in (
                select oid from pg_namespace where nspname ~ '^pg_|^rowqueue$')) as relations,
            (select count(*) from pg_proc where pronamespace not in (
                select oid from pg_namespace where nspname ~ '^pg_|^rowqueue$')) as functions,
            (select count(*) from pg_extension) as extensions"""
    before = empty.execute(count).fetchone()
    install_as(empty, "nosuperuser nocreaterole")
    assert empty.execute(count).fetchone() == before


def test_the_map_names_every_file_of_the_schema_once():
    included = re.findall(
        r"^\\ir (\S+)$", (SQL / "install.sql").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    files = [str(file.relative_to(SQL)) for file in SQL.glob("*/*.sql")]
    assert sorted(included) == sorted(files)
