"""What a scenario found, and the JSON file that keeps every single value of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

FOLDER = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure that each round yields.

    Attributes:
        name: its key in `Round.values`, and its heading: ``"jobs/s"``, ``"p99 pickup"``.
        unit: ``"jobs/s"``, ``"ms"``, ``"B"``; empty for a pure number.
        better: which way is better, for the ratio: above 1 always means that rowqueue is ahead.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"] = "higher"

    def ahead(self, one: float, other: float) -> float:
        """Returns how many times better one value is than another; 0 where that has no answer."""
        above, below = (one, other) if self.better == "higher" else (other, one)
        return above / below if below else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One system's measurement of one case, once.

    Attributes:
        system: whose.
        case: under which condition, such as ``"2 processes"``; empty where there is but one.
        number: the round, from 1.
        jobs: how many jobs went through.
        values: the figures, by the measure's name.
        lost: jobs never handled.
        duplicated: jobs handled more than once.
        void: why it does not count; empty when it does.
        series: curves, by name: points (x, y), such as jobs/s by minute.
        extra: anything else worth keeping.
    """

    system: str
    case: str = ""
    number: int = 1
    jobs: int = 0
    values: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0
    void: str = ""
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All rounds of one scenario on one PostgreSQL version.

    Attributes:
        scenario: its name.
        measures: the figures that each round yields.
        rounds: every single one.
        command: what was typed.
        facts: of the server and the machine, `Server.facts`.
        systems: each system's settings and versions, by name.
        choose: whether the case is a matter of choice, so that each system's best one counts, too.
    """

    scenario: str
    measures: Sequence[Measure]
    rounds: Sequence[Round]
    command: str
    facts: dict[str, Any]
    systems: dict[str, dict[str, Any]]
    choose: bool = False

    @property
    def file(self) -> Path:
        """Where it is kept."""
        major = str(self.facts["postgres"]).partition(".")[0]
        return FOLDER / f"{self.scenario}-pg{major}.json"

    @property
    def setting(self) -> str:
        """Says in a few words where it was measured."""
        version = str(self.facts["postgres"]).partition(" ")[0]
        return f"PostgreSQL {version}, {self.facts['cores']} cores"

    def write(self, file: Path | None = None) -> Path:
        """Writes it, a round a line, and returns the file."""
        file = file or self.file
        file.parent.mkdir(parents=True, exist_ok=True)
        head = asdict(self)
        rounds = head.pop("rounds")
        lines = ",\n  ".join(json.dumps(one) for one in rounds)
        text = json.dumps(head, indent=1).removesuffix("\n}")
        file.write_text(f'{text},\n "rounds": [\n  {lines}\n ]\n}}\n')
        return file

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads what `write` wrote."""
        content = json.loads(file.read_text())
        measures = [Measure(**one) for one in content.pop("measures")]
        rounds = [_round(**one) for one in content.pop("rounds")]
        return cls(measures=measures, rounds=rounds, **content)


def _round(series: dict[str, list[list[float]]], **fields: Any) -> Round:
    """Makes a round of what JSON has made of one."""
    return Round(
        series={name: [(x, y) for x, y in points] for name, points in series.items()}, **fields
    )
