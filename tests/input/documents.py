"""JSON documents, good and bad, as text: strategies for Hypothesis."""

from __future__ import annotations

import json

from hypothesis import strategies as st


def digits(longest: int) -> st.SearchStrategy[str]:
    """A digit, many times: enough of a number for what can go wrong with its size."""
    return st.builds(lambda digit, length: digit * length, st.sampled_from("19"), lengths(longest))


def lengths(longest: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(1, 9), st.integers(1, longest))


NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds("{}{}".format, st.sampled_from(["", "-"]), digits(6000)),
    st.builds("{}.{}".format, digits(400), digits(6000)),
    st.builds(
        "{}e{}".format,
        st.sampled_from(["0", "-0", "1", "-1", "1.5", "9.999"]),
        st.one_of(st.integers(-330, 330), st.integers(-16_400, 131_100)),
    ),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "1e400000", "01", "+1", "0x1F", "1_000"]),
)

STRINGS = st.one_of(
    st.text().map(json.dumps),
    st.text().map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        [
            r'"\u0000"',
            r'"\ud800"',
            r'"\udc00\ud800"',
            r'"\ud83d\ude00"',
            r'"\uFFFE\uFFFF"',
            '"\u202e\u200b\ufffe"',
            r'"\x41"',
        ]
    ),
)

DOCUMENTS = st.recursive(
    st.one_of(NUMBERS, STRINGS, st.sampled_from(["null", "true", "false"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.lists(st.tuples(STRINGS, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{key}:{item}" for key, item in pairs) + "}"
        ),
        st.builds(
            lambda depth, item: "[" * depth + item + "]" * depth,
            st.one_of(st.integers(1, 70), st.integers(1, 3000)),
            inner,
        ),
    ),
    max_leaves=12,
)

PAYLOADS = st.builds('{{"a": {}, {}: {}}}'.format, DOCUMENTS, STRINGS, DOCUMENTS)
