"""Values that nobody in their right mind would pass, by SQL type: strategies for Hypothesis.

A value is the text of a literal, as it stands between quotes, or None for NULL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from input.documents import DOCUMENTS, NUMBERS, PAYLOADS

Text = str | None
Values = st.SearchStrategy[Text]

MANY = 10_001
NIL = "00000000-0000-0000-0000-000000000000"


class Known(NamedTuple):
    """What is in the database: the jobs' ids, and the tokens with which they were claimed."""

    ids: Sequence[str]
    tokens: Sequence[str]


def mostly(*strategies: Values) -> Values:
    """One of them, the first about half of the time: a call wrong everywhere shows little."""
    first, *others = strategies
    return st.one_of(first, st.one_of(first, *others))


# Neither NUL nor half a surrogate pair, which no client can send as text.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)

NAMES = mostly(
    st.sampled_from(["default", "sync", "a", "a.b:c-d_e", "0", "a" * 63]),
    st.sampled_from(["", " ", "q ", "Queue", "-a", "a\n", "é", "a\u200bb", "\u202ea", "a" * 64]),
    st.sampled_from(["a" * 9_000, "'; drop schema rowqueue cascade; --", "pg_temp", "%s%n", "$1"]),
    WORDS,
    st.none(),
)

TEXTS = mostly(
    WORDS,
    st.sampled_from(
        ["", "done", "pending", "running", "running ", "x" * 512, "é" * 257, "\x01\x7f"]
    ),
    st.builds(lambda char, n: char * n, st.sampled_from("xé名😀"), st.integers(1, 20_000)),
    st.sampled_from(["x" * 300_000, "\\", "$$", "%", "{}", "\ufffe\u202e"]),
    st.none(),
)

WHOLE = mostly(
    st.integers(0, 1000).map(str),
    st.sampled_from(
        ["-1", "0", "1", "10000001", "32767", "32768", "-32769", str(2**31 - 1), str(-(2**31))]
    ),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.sampled_from(["", "many", "1.5", "0x1F", " 12 ", "1e3", "1_000", "NaN", str(2**64)]),
    st.none(),
)

DECIMALS = mostly(
    st.integers(0, 200).map(str),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "-0", "0e-16383", "1e15", "1e16", "-1e-400"]),
    st.builds("{}e{}".format, st.integers(-99, 99), st.integers(-16_500, 131_100)),
    st.sampled_from(["", "many", "0x1F", " 1 ", "1" * 5_000, "0." + "3" * 5_000, "1e400000"]),
    st.none(),
)

INTERVALS = mostly(
    st.sampled_from(["1 minute", "0", "1 day", "30 days", "100 ms", "10 years"]),
    st.builds(
        "{} {}".format,
        st.one_of(st.integers(-100, 100), st.integers(-(2**33), 2**33)),
        st.sampled_from(["microseconds", "seconds", "hours", "days", "months", "years"]),
    ),
    st.sampled_from(["178000000 years", "-178000000 years", f"{2**62} seconds", "1 day -1 month"]),
    st.sampled_from(["", "soon", "infinity", "NaN", "P1Y2M", "1:2:3", "-1 month 31 days"]),
    st.none(),
)

INSTANTS = mostly(
    st.none(),
    st.sampled_from(["now", "2040-05-15 12:00Z", "2041-01-01Z", "1970-01-01Z", "2049-12-31Z"]),
    st.sampled_from(["infinity", "-infinity", "10000-01-01Z", "294276-12-31Z", "4713-01-01Z BC"]),
    st.sampled_from(["294277-01-01Z", "4715-01-01Z BC", "", "soon", "tomorrow", "1969-12-31Z"]),
    st.datetimes().map(str),
)

FLAGS = st.sampled_from(["true", "false", "y", "2", "", None])


def array_of(items: Values) -> Values:
    """Arrays of such values: short ones, odd shapes, and now and then too many of one."""
    one = items.filter(lambda text: text is None or len(text) < 1000).map(_item)
    return mostly(
        st.lists(one, max_size=4).map(lambda texts: "{" + ",".join(texts) + "}"),
        st.sampled_from(["{}", "", "{", "{NULL}", "{{}}", "{{1},{2,3}}", "{1,2", "[5:5]={a}"]),
        one.map(lambda text: "{{" + text + "}}"),
        one.map(lambda text: "[5:6]={" + text + "," + text + "}"),
        st.builds(_repeated, one, st.sampled_from([3, 100, 100, MANY])),
        st.none(),
    )


def jobs() -> Values:
    """Arrays for enqueue_many: objects with its keys, whose values may be anything."""
    texts = st.one_of(NAMES, TEXTS).map(json.dumps)
    numbers = WHOLE.map(lambda text: text or "null")
    keys = {
        **dict.fromkeys(("queue", "unique_key", "workspace_id"), texts),
        **dict.fromkeys(("priority", "max_attempts", "timeout_ms"), numbers),
        "run_after": INSTANTS.map(json.dumps),
        "payload": mostly(PAYLOADS, DOCUMENTS),
        "kind": texts,
    }
    job_types = mostly(st.just('"sync"'), texts)
    job = st.fixed_dictionaries({"job_type": job_types}, optional=keys).map(_object)
    return mostly(
        st.lists(job, max_size=3).map(lambda found: f"[{','.join(found)}]"),
        job,
        DOCUMENTS,
        st.none(),
    )


def by_kind(known: Known) -> dict[str, Values]:
    """The strategies, by an argument's name, or its type's as format_type has it."""
    ids = mostly(
        st.sampled_from(known.ids),
        st.sampled_from([NIL, NIL[:-1], "", "acme", "0", "{" + NIL + "}", NIL.replace("-", "")]),
        st.uuids().map(str),
        st.none(),
    )
    tokens = mostly(st.sampled_from(known.tokens), WHOLE)
    return {
        "text": NAMES,
        "uuid": ids,
        "bigint": tokens,
        "integer": WHOLE,
        "numeric": DECIMALS,
        "interval": INTERVALS,
        "timestamp with time zone": INSTANTS,
        "boolean": FLAGS,
        "jsonb": mostly(
            st.builds('{{"a": {}}}'.format, NUMBERS),
            PAYLOADS,
            DOCUMENTS,
            st.sampled_from(["", "{", "null", "[]"]),
            st.none(),
        ),
        "text[]": array_of(NAMES),
        "uuid[]": array_of(ids),
        "bigint[]": array_of(tokens),
        "jsonb[]": array_of(DOCUMENTS),
        **dict.fromkeys(("error", "message", "reason", "unique_key", "worker", "status"), TEXTS),
        "workspace_id": mostly(st.none(), st.uuids().map(str), st.just("acme")),
        "jobs": jobs(),
    }


def _repeated(item: str, times: int) -> str:
    """So many of a short item, or a hundred of a long one."""
    return "{" + ",".join([item] * (times if len(item) < 50 else 100)) + "}"


def _object(job: dict[str, str]) -> str:
    return "{" + ",".join(f'"{key}":{value}' for key, value in job.items()) + "}"


def _item(text: Text) -> str:
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
