"""Where a database gives PUBLIC everything by default, the schema takes it back."""

from __future__ import annotations

import psycopg

from rowqueue import schema

GIVE_ALL = """
    alter default privileges grant all on tables to public;
    alter default privileges grant all on functions to public;
"""
PUBLIC_MAY = """
    select c.oid::regclass::text as name, a.privilege_type
    from pg_class as c
    cross join lateral aclexplode(c.relacl) as a
    where c.relnamespace = 'rowqueue'::regnamespace and c.relkind in ('r', 'p', 'v')
    and a.grantee = 0
    union all
    select p.oid::regprocedure::text, a.privilege_type
    from pg_proc as p
    cross join lateral aclexplode(p.proacl) as a
    where p.pronamespace = 'rowqueue'::regnamespace and a.grantee = 0
"""


def test_public_has_nothing_whatever_the_database_gives_it(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as session:
        session.execute(GIVE_ALL)
        session.execute(schema.render().encode())
        session.execute("select rowqueue.tick()")
        assert session.execute(PUBLIC_MAY).fetchall() == []
