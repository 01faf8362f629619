"""Writes the pages of ``docs/`` that are made, not written.

    python .ci/sql_reference.py            # write them
    python .ci/sql_reference.py --check    # exit 1 when one is stale

``sql-reference.md`` comes from the catalogue of a freshly installed schema, and is the same on
every supported version of PostgreSQL. ``transitions.md`` comes from the table that drives the
tests in ``tests/lifecycle``; ``doctor.md`` from the list of findings.
"""

from __future__ import annotations

import argparse
import difflib
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import doctor_page
import psycopg
from psycopg.rows import namedtuple_row

from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[1]

_STAGES = {
    "2_enqueue": "Enqueue",
    "3_claim": "Claim",
    "4_run": "Run",
    "5_finish": "Finish",
    "6_maintain": "Maintain",
    "7_observe": "Observe",
    "8_doctor": "Doctor",
}
"""The folders of ``sql/`` that hold public functions, in the order of a job's life."""

_SPELLINGS = {
    r"timestamp with time zone": "timestamptz",
    r"\binteger\b": "int",
    r"('[^']*'|\bNULL\b)::[a-z]+(\[\])?": r"\1",
    r"\bNULL\b": "null",
    r"\bTABLE\(": "table(",
    r"\bSETOF\b": "setof",
}
"""How the catalogue spells a type or a default, and how ``sql/`` does."""

_INTRODUCTION = """\
# SQL reference

<!-- Made from the comments in sql/. Change them there, then: make sql-reference -->

Every function, table, view and type of the schema `rowqueue` that is meant for users, in the order
of a job's life. psql shows the same texts: `\\df+ rowqueue.*`, `\\d+ rowqueue.job`.

All arguments can be named (`rowqueue.enqueue('sync', priority => 5)`). **State** says which status
the function changes into which. **Role** says who may call it. **Repeat** says what a second call
does. Names that begin with `_` are private and may change at any time.
"""

_TRANSITIONS = """\
# Transitions

<!-- Made from tests/lifecycle/transitions.py. Change it there, then: make sql-reference -->

What each function makes of a job, by the state it finds it in. Every cell is tried by a test. A
cell holds one of

- a status: the call succeeds, and the job has that status then;
- an SQLSTATE: the call raises it, and nothing changes;
- what a batch function says about a job that it leaves as it is (`already`, `lost`, `cancel`,
  `extended`), since it raises for none;
- `-`: the call succeeds and has nothing to do or to show.

"Same token" is the token of the claim under which the job ended. A lease that ran out still counts
until somebody has taken the job back.
"""

_FUNCTIONS: LiteralString = """
select
    p.proname as name,
    array(
        select
            format('%s %s', a.name, format_type(a.type, null))
            || coalesce(' default ' || pg_get_function_arg_default(p.oid, a.n::int), '')
        from unnest(p.proargtypes::oid[], p.proargnames[1:p.pronargs])
            with ordinality as a(type, name, n)
        order by a.n
    ) as arguments,
    pg_get_function_result(p.oid) as result,
    obj_description(p.oid, 'pg_proc') as comment
from pg_proc as p
where p.pronamespace = 'rowqueue'::regnamespace and p.proname !~ '^_'
order by p.proname
"""

_RELATIONS: LiteralString = """
select
    c.relname as name,
    coalesce(
        obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) as comment,
    array(
        select row(
            a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum))
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by a.attnum
    ) as columns
from pg_class as c
where c.relnamespace = 'rowqueue'::regnamespace and c.relkind = any(%s::"char"[])
and c.relname !~ '^_' and c.relname !~ '_[0-9]{4}_[0-9]{2}$'
order by c.relname
"""

Cursor = psycopg.Cursor[Any]


def reference(connection: psycopg.Connection[Any]) -> str:
    """Returns the page for the schema that is installed in a database."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        cursor.execute("set intervalstyle = 'postgres'")
        parts = [
            _INTRODUCTION,
            *_roles(cursor),
            *_functions(cursor),
            *_relations(cursor, "Types", "c"),
            *_relations(cursor, "Views", "v"),
            *_relations(cursor, "Tables", "r", "p"),
            *_sequences(cursor),
            *_error_codes(cursor),
        ]
    return "\n".join(parts) + "\n"


def _roles(cursor: Cursor) -> Iterator[str]:
    yield "## Roles\n"
    yield "Grant them to the roles that log in: `grant rowqueue_worker to app_worker`.\n"
    yield "| role | may call | and |\n|---|---|---|"
    cursor.execute("select role, privilege from rowqueue.grants")
    functions: dict[str, list[str]] = {}
    tables: dict[str, list[str]] = {}
    for role, privilege in sorted(cursor.fetchall()):
        if found := re.fullmatch(r"execute on function rowqueue\.(\w+)", privilege):
            functions.setdefault(role, []).append(f"`{found[1]}`")
        elif found := re.fullmatch(r"(.*) on table rowqueue\.(\w+)", privilege):
            tables.setdefault(role, []).append(f"{found[1]} on `{found[2]}`")
    for role, names in functions.items():
        yield f"| `{role}` | {' '.join(sorted(names))} | {'; '.join(tables[role])} |"
    yield ""


def _functions(cursor: Cursor) -> Iterator[str]:
    cursor.execute(_FUNCTIONS)
    functions = {row.name: row for row in cursor.fetchall()}
    for folder, stage in _STAGES.items():
        yield f"## {stage}\n"
        for file in schema.source_files():
            if file.parent.name == folder and (function := functions.pop(file.stem, None)):
                yield from _function(function)
    if functions:
        raise ValueError(f"public functions without a file of their name: {sorted(functions)}")


def _function(row: Any) -> Iterator[str]:
    inner = ",\n".join(f"    {_plain(argument)}" for argument in row.arguments)
    arguments = f"\n{inner}\n" if inner else ""
    yield f"### {row.name}\n"
    yield f"```text\n{row.name}({arguments}) returns {_plain(row.result)}\n```\n"
    what, *facts = row.comment.splitlines()
    yield f"{what}\n"
    for fact in facts:
        name, _, text = fact.partition(": ")
        yield f"- **{name}:** {text}"
    yield ""


def _plain(declaration: str) -> str:
    """Writes an argument or a result as its source does."""
    for catalogue, source in _SPELLINGS.items():
        declaration = re.sub(catalogue, source, declaration)
    return declaration


def _relations(cursor: Cursor, heading: str, *kinds: str) -> Iterator[str]:
    yield f"## {heading}\n"
    described: dict[tuple[Any, ...], str] = {}
    cursor.execute(_RELATIONS, [list(kinds)])
    for row in cursor.fetchall():
        yield f"### {row.name}\n\n{row.comment}\n"
        columns = tuple((name, kind) for name, kind, _ in row.columns)
        if (first := described.setdefault(columns, row.name)) != row.name:
            yield f"Its columns are those of `{first}`.\n"
            continue
        yield "| column | type | |\n|---|---|---|"
        for name, kind, comment in row.columns:
            yield f"| `{name}` | {_plain(kind)} | {_cell(comment)} |"
        yield ""


def _sequences(cursor: Cursor) -> Iterator[str]:
    yield "## Sequences\n"
    yield "They belong to the owner of the schema.\n"
    yield "| sequence | |\n|---|---|"
    cursor.execute(_RELATIONS, [["S"]])
    for row in cursor.fetchall():
        if row.comment:
            yield f"| `{row.name}` | {_cell(row.comment)} |"
    yield ""


def _error_codes(cursor: Cursor) -> Iterator[str]:
    yield "## Error codes\n"
    yield "What `rowqueue.error_codes` holds. The codes are stable; messages are not.\n"
    yield "| SQLSTATE | name | meaning |\n|---|---|---|"
    cursor.execute("select code, name, meaning from rowqueue.error_codes")
    for code, name, meaning in sorted(cursor.fetchall()):
        yield f"| `{code}` | {name} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def transitions() -> str:
    """Returns the page with the table of (status, function) -> next status or SQLSTATE."""
    table = runpy.run_path(str(ROOT / "tests" / "lifecycle" / "transitions.py"))
    return f"{_TRANSITIONS}\n{table['as_markdown']()}"


def differences(page: Path, fresh: str) -> list[str]:
    """Returns the lines in which a page differs from what it should be."""
    written = page.read_text(encoding="utf-8") if page.exists() else ""
    names = (str(page), "as it should be")
    return [*difflib.unified_diff(written.splitlines(), fresh.splitlines(), *names, lineterm="")]


def main() -> int:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when it is stale")
    check = parser.parse_args().check
    with (
        EmbeddedPostgres(prefer="installed", fsync=False) as postgres,
        psycopg.connect(postgres.dsn, autocommit=True) as connection,
    ):
        connection.execute(schema.render().encode())
        pages = {
            "sql-reference.md": reference(connection),
            "transitions.md": transitions(),
            "doctor.md": doctor_page.page(connection),
        }
    stale = []
    for name, fresh in pages.items():
        page = ROOT / "docs" / name
        if not check:
            page.write_text(fresh, encoding="utf-8")
        stale += differences(page, fresh)
    if stale:
        print("\n".join([*stale, "stale: run `make sql-reference`"]))
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
