"""What a run was: which seed, which commit, which faults."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Facts:
    """The file ``run.json`` beside the histories.

    Attributes:
        seed: what all chance in the run came from.
        commit: the commit under test.
        postgres: the server's version.
        faults: which were asked for.
        clock_jumps: whether the database's clock was moved: times then prove less.
        drained: whether the run went on, without faults, until nothing was left to do.
    """

    seed: str = ""
    commit: str = ""
    postgres: str = ""
    faults: tuple[str, ...] = ()
    clock_jumps: bool = False
    drained: bool = True

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """Reads them; what else the file says is ignored."""
        said = json.loads((folder / "run.json").read_text())
        known = {f.name: said[f.name] for f in fields(cls) if f.name in said}
        known["seed"] = str(known.get("seed", ""))
        known["faults"] = tuple(known.get("faults", ()))
        return cls(**known)

    def write(self, folder: Path) -> None:
        """Writes them."""
        (folder / "run.json").write_text(json.dumps(asdict(self)))
