"""The command: its exit codes, what it keeps, and the report made of that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.harness.install import TOP, CannotInstall, NodePackages
from bench.harness.report import report
from bench.harness.results import Results
from bench.scenarios import SCENARIOS
from bench.systems import SYSTEMS
from support.server import own_version


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TOP / "python", TOP)))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_keeps_its_raw_values_and_a_report_is_made_of_them(tmp_path: Path) -> None:
    file = tmp_path / "drain-pg.json"
    words = ["--systems=rowqueue", "--jobs=100", "--rounds=2", f"--pg={own_version()}"]
    done = bench("run", "drain", *words, f"--out={file}")
    assert done.returncode == 0, done.stderr
    assert "round 2 of 2" in done.stdout

    results = Results.read(file)
    assert len(results.rounds) == 4
    assert results.command == f"python -m bench run drain {' '.join(words)} --out={file}"
    assert results.facts["settings"]["fsync"] == "on"
    assert results.facts["settings"]["synchronous_commit"] == "on"
    assert {"date", "commit", "postgres", "cores", "python"} <= results.facts.keys()
    assert results.systems["rowqueue"]["versions"]["psycopg"]

    page, plot = (file.with_suffix(".md"), file.with_name("drain-pg-1.svg"))
    assert {page, plot} == set(report(tmp_path, SCENARIOS))
    assert "| 2 processes | rowqueue | 100 |" in page.read_text()


def test_an_unknown_system_is_a_usage_error() -> None:
    done = bench("run", "drain", "--systems=rowqueue,nonesuch")
    assert done.returncode == 2
    assert "no system is called 'nonesuch'; there are rowqueue, classic" in done.stderr


def test_an_unknown_scenario_is_a_usage_error() -> None:
    done = bench("run", "nonesuch")
    assert done.returncode == 2
    assert "nonesuch" in done.stderr


def test_the_list_names_every_scenario_and_system() -> None:
    said = bench("list").stdout
    assert [name for name in (*SCENARIOS, *SYSTEMS) if name not in said] == []


def test_without_node_a_system_on_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotInstall, match="node and npm are not on the PATH"):
        NodePackages("some.mjs").install()
