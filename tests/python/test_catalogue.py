"""Methods, docstrings and row types are those of the database's catalogue."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any, get_type_hints

import psycopg
import pytest

from rowqueue import AsyncQueue, Queue, calls
from rowqueue.jobs import ClaimedJob, Enqueued, Finding, JobRow, NewJob, Outcome, QueueHealth

FUNCTIONS = [getattr(calls, name) for name in calls.__all__ if name != "Call"]

CATALOGUE = """
    select
        p.oid, p.proname as name, p.proargnames as names, p.pronargs as count,
        p.pronargdefaults as defaults
    from pg_proc as p
    where p.pronamespace = 'rowqueue'::regnamespace and p.prokind = 'f' and p.proname !~ '^_'
"""

DEFAULTS = """
    select p.proargnames[n] as name, format_type(p.proargtypes[n - 1], null) as type,
        pg_get_function_arg_default(p.oid, n) as expression
    from pg_proc as p, generate_series(1, p.pronargs) as n
    where p.oid = %s
"""


def methods(kind: type) -> dict[str, Any]:
    return {
        name: method
        for name, method in inspect.getmembers(kind, callable)
        if not name.startswith("_") and name != "close"
    }


def documented_arguments(function: Any) -> dict[str, str]:
    section = re.search(r"^Args:\n((?:    .*\n)+)", inspect.getdoc(function) or "", re.MULTILINE)
    entries = re.split(r"^    (\w+): ", section[1] if section else "", flags=re.MULTILINE)[1:]
    return {
        name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)
    }


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
def test_a_queue_has_a_method_for_every_function_with_its_arguments_in_order(
    db: psycopg.Connection[Any], kind: type
) -> None:
    in_database = {
        row.name: [
            (name, position >= row.count - row.defaults)
            for position, name in enumerate((row.names or [])[: row.count])
        ]
        for row in db.execute(CATALOGUE)
    }
    in_python = {}
    for name, method in methods(kind).items():
        _, *parameters = inspect.signature(method).parameters.values()
        for position, parameter in enumerate(parameters):
            is_first = position == 0
            assert (parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD) == is_first
            assert parameter.default in (inspect.Parameter.empty, None)
        in_python[name] = [(p.name, p.default is None) for p in parameters]
    assert in_python == in_database


def test_the_methods_are_coroutines_where_they_should_be() -> None:
    assert not any(inspect.iscoroutinefunction(method) for method in methods(Queue).values())
    assert all(inspect.iscoroutinefunction(method) for method in methods(AsyncQueue).values())


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_docstring_has_its_parts(function: Any) -> None:
    text = inspect.getdoc(function) or ""
    summary, _, rest = text.partition("\n\n")
    assert summary.endswith(".")
    assert "\n" not in summary
    assert list(documented_arguments(function)) == list(inspect.signature(function).parameters)
    assert re.search(r"^Returns:\n    ", rest, re.MULTILINE)
    assert re.search(rf"^SQL: rowqueue\.{function.__name__}, .+\Z", rest, re.MULTILINE)


def test_the_documented_defaults_are_those_of_the_functions(db: psycopg.Connection[Any]) -> None:
    for function in db.execute(CATALOGUE).fetchall():
        documented = documented_arguments(getattr(Queue, function.name))
        for argument in db.execute(DEFAULTS, [function.oid]).fetchall():
            default = re.search(r"\(default: (.*?)\)", documented[argument.name])
            where = (function.name, argument.name)
            if argument.expression is None or argument.expression.startswith("NULL"):
                assert default is None, where
            else:
                assert default, where
                same = f"select %s::{argument.type} = ({argument.expression}) as same"
                row = db.execute(same, [default[1]]).fetchone()
                assert row is not None, where
                assert row.same, where


@pytest.mark.parametrize(
    ("kind", "sql_type"),
    [
        (ClaimedJob, "claimed_job"),
        (Finding, "finding"),
        (JobRow, "job"),
        (QueueHealth, "queue_health"),
    ],
)
def test_a_row_type_has_the_fields_of_its_sql_type(
    db: psycopg.Connection[Any], kind: Any, sql_type: str
) -> None:
    columns = [
        (row.attname, "text" if row.type == "jsonb" else row.type)
        for row in db.execute(
            "select attname, format_type(atttypid, null) as type from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 order by attnum",
            [f"rowqueue.{sql_type}"],
        )
    ]
    hints = get_type_hints(kind)
    python = [
        (
            field.name.removesuffix("_json"),
            SQL_TYPES[str(hints[field.name]).removesuffix(" | None")],
        )
        for field in fields(kind)
    ]
    assert [name for name, _ in python] == [name for name, _ in columns]
    for (name, allowed), (_, actual) in zip(python, columns, strict=True):
        assert actual in allowed, name


SQL_TYPES = {
    "<class 'uuid.UUID'>": {"uuid"},
    "uuid.UUID": {"uuid"},
    "<class 'str'>": {"text"},
    "str": {"text"},
    "<class 'int'>": {"integer", "bigint"},
    "<class 'bool'>": {"boolean"},
    "<class 'datetime.datetime'>": {"timestamp with time zone"},
    "datetime.datetime": {"timestamp with time zone"},
    "decimal.Decimal": {"numeric"},
    "datetime.timedelta": {"interval"},
}


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (Enqueued, "enqueue_many"),
        (Outcome, "complete_many"),
        (Outcome, "extend_leases"),
        (Outcome, "reap_stuck"),
    ],
)
def test_a_row_type_has_the_columns_that_its_functions_return(
    db: psycopg.Connection[Any], kind: Any, function: str
) -> None:
    row = next(row for row in db.execute(CATALOGUE).fetchall() if row.name == function)
    assert [field.name for field in fields(kind)] == row.names[row.count :]


def test_a_new_job_has_the_arguments_of_enqueue() -> None:
    assert list(NewJob.__annotations__) == list(inspect.signature(calls.enqueue).parameters)
    assert NewJob.__required_keys__ == {"job_type"}
