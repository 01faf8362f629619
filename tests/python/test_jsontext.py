"""Python values as JSON text: what is accepted, Postgres can parse; what is not, is named."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowqueue.errors import NotStorable
from rowqueue.jsontext import JsonText, encode

circular: list[Any] = []
circular.append(circular)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"rate": float("nan")}, "payload.rate is nan"),
        ({"pages": [1, {"rate": float("-inf")}]}, r"payload.pages\[1\].rate is -inf"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "payload.at is of type datetime"),
        ({"tags": {"a"}}, "payload.tags is of type set"),
        ({"raw": b"x"}, "payload.raw is of type bytes"),
        ({(1, 2): 3}, "payload has a key of type tuple"),
        ({"name": "a\0b"}, "payload.name holds a NUL"),
        ({"a\0b": 1}, "a key of payload holds a NUL"),
        ({"name": "\ud800"}, "payload.name holds half a surrogate pair"),
        ({"\udfff": 1}, "a key of payload holds half a surrogate pair"),
        ({"loop": circular}, r"payload.loop(\[0\]){63} is nested deeper than 63 levels"),
        (nested(100_000), r"payload(\[0\]){64} is nested deeper than 63 levels"),
        ({"n": 10**5000}, "payload cannot be stored as JSON: Exceeds the limit"),
        (object, "payload is of type type"),
    ],
)
def test_what_json_or_postgres_cannot_hold_is_refused_by_its_path(value: Any, problem: str) -> None:
    with pytest.raises(NotStorable, match=f"^{problem}") as caught:
        encode("payload", value)
    assert caught.value.sqlstate == "RQ103"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        (None, "null"),
        ({"a": [1, 2.5, True, None, "é\N{GRINNING FACE}"]}, '{"a":[1,2.5,true,null,"é😀"]}'),
        ((1, 2), "[1,2]"),
        (OrderedDict(a=MappingProxyType({"b": 1})), '{"a":{"b":1}}'),
        ({1: None}, '{"1":null}'),
        ("a \\u0000 that is written out", '"a \\\\u0000 that is written out"'),
    ],
)
def test_what_json_can_hold_is_encoded(value: Any, text: str) -> None:
    assert encode("payload", value) == text


def test_json_text_is_passed_on_as_it_is() -> None:
    assert encode("payload", JsonText('{"a" : 1e5}')) == '{"a" : 1e5}'


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(anything)
def test_whatever_is_accepted_postgres_can_parse(db: psycopg.Connection[Any], value: Any) -> None:
    try:
        text = encode("payload", value)
    except NotStorable:
        return
    row = db.execute("select %s::jsonb is not null as parsed", [text]).fetchone()
    assert row is not None
    assert row.parsed
