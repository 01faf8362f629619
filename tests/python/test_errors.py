"""The exception classes are the database's list of error codes, and psycopg raises them."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from rowqueue import errors


def error_classes() -> dict[str, type[psycopg.Error]]:
    return {
        kind.sqlstate: kind
        for name in errors.__all__
        if (kind := getattr(errors, name)).sqlstate is not None
    }


def test_there_is_a_class_for_each_code_of_the_database_under_its_name(
    db: psycopg.Connection[Any],
) -> None:
    listed = {row.code: row.name for row in db.execute("select * from rowqueue.error_codes")}
    names = {name: getattr(errors, name).sqlstate for name in errors.__all__}
    ours = {
        code: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for name, code in names.items()
        if code is not None
    }
    assert ours == listed


@pytest.mark.parametrize("code", sorted(error_classes()))
def test_psycopg_itself_raises_the_class_of_a_code(db: psycopg.Connection[Any], code: str) -> None:
    with pytest.raises(psycopg.Error, match="told so") as caught:
        db.execute(f"do $$ begin raise exception 'told so' using errcode = '{code}'; end $$")
    assert type(caught.value) is error_classes()[code]
    assert caught.value.sqlstate == code


def test_one_base_catches_every_code_of_rowqueues_own() -> None:
    for code, kind in error_classes().items():
        assert issubclass(kind, errors.RowqueueError) == code.startswith("RQ")
        assert issubclass(kind, psycopg.DatabaseError)


def test_an_invalid_argument_is_psycopgs_own_class() -> None:
    assert errors.InvalidArgument is psycopg.errors.InvalidParameterValue
    assert psycopg.errors.lookup("22023") is errors.InvalidArgument


def test_the_tree_in_the_module_names_every_class_and_its_code() -> None:
    tree = errors.__doc__ or ""
    for name in errors.__all__:
        assert f"─ {name} " in tree
    for code, kind in error_classes().items():
        if kind is not errors.InvalidArgument:
            assert re.search(rf"─ {kind.__name__} +{code}  ", tree)
