"""Calls of every public function, with arguments that are left out, NULL, odd, and plain wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import psycopg
from hypothesis import strategies as st

from input.values import Known, Text, by_kind

# What makes documents and jobs is tried more often; what takes no arguments, now and then.
_OFTEN, _SELDOM = 4.0, 0.05
_MAKERS = {"enqueue", "enqueue_many", "complete", "complete_many"}

# A call that is wrong everywhere shows little: most arguments that have a default are left out, and
# most of the others are as they should be.
_GIVEN = {"payload": 0.8, "result": 0.8, "results": 0.8}
_TAME = {"job_type": "sync", "worker": "w", "current": "1", "error": "e", "queue": "default"}
_MOSTLY = 0.7


class Function(NamedTuple):
    """A public function: its arguments with their types, and how many of them have no default."""

    name: str
    arguments: Mapping[str, str]
    needed: int

    @property
    def weight(self) -> float:
        """How often it is called, against others."""
        if not self.arguments:
            return _SELDOM
        return _OFTEN if self.name in _MAKERS else 1.0


@dataclass(frozen=True, slots=True)
class HostileCall:
    """A call whose arguments are literals."""

    function: Function
    values: Mapping[str, Text]

    def __str__(self) -> str:
        given = ", ".join(f"{name} => {_literal(value)}" for name, value in self.values.items())
        return f"select * from rowqueue.{self.function.name}({given})"

    def casts(self) -> Iterator[str]:
        """Each argument by itself, made a value of its type: what PostgreSQL refuses there."""
        for name, value in self.values.items():
            yield f"select {_literal(value)}::{self.function.arguments[name]}"


class Hand(NamedTuple):
    """Values of each kind as Hypothesis dealt them, and the number that says how they are played.

    Drawing an argument anew for each call would take ten times as long as making the call.
    """

    values: Mapping[str, Sequence[Text]]
    number: int

    def calls(self, functions: Sequence[Function], count: int) -> Iterator[HostileCall]:
        """Yields calls, the same ones each time."""
        random = Random(self.number)
        weights = [function.weight for function in functions]
        for function in random.choices(functions, weights, k=count):
            yield HostileCall(
                function,
                {
                    name: self._value(name, kind, random)
                    for place, (name, kind) in enumerate(function.arguments.items())
                    if place < function.needed or random.random() < _GIVEN.get(name, 0.2)
                },
            )

    def _value(self, name: str, kind: str, random: Random) -> Text:
        if name in _TAME and random.random() < _MOSTLY:
            return _TAME[name]
        return random.choice(self.values[name if name in self.values else kind])


def hands(known: Known) -> st.SearchStrategy[Hand]:
    """Hands with some values of each kind, and more of those that are all different."""
    values = {}
    for kind, strategy in by_kind(known).items():
        size = 24 if kind in {"jsonb", "jobs"} else 8
        values[kind] = st.lists(strategy, min_size=size, max_size=size)
    return st.builds(Hand, st.fixed_dictionaries(values), st.integers(0, 2**32))


def public_functions(session: psycopg.Connection[Any]) -> list[Function]:
    """Every public function, from the catalogue: one that is new is tried as well."""
    found = session.execute(
        """
        select
            p.proname,
            coalesce((p.proargnames::text[])[:p.pronargs], '{}'),
            array(select format_type(a, null) from unnest(p.proargtypes) as a),
            p.pronargs - p.pronargdefaults
        from pg_proc as p
        where p.pronamespace = 'rowqueue'::regnamespace and p.proname !~ '^_'
        order by p.proname"""
    )
    return [
        Function(name, dict(zip(names, types, strict=True)), needed)
        for name, names, types, needed in found
    ]


def _literal(value: Text) -> str:
    return "null" if value is None else "'" + value.replace("'", "''") + "'"
