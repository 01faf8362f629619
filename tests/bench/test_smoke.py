"""Every scenario runs through on a handful of jobs, and loses none. No figure means anything."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import command_line
from bench.harness.scenario import Bench
from bench.harness.server import Server
from bench.scenarios import SCENARIOS
from bench.systems import SYSTEMS
from support.server import own_version


@pytest.fixture(scope="module")
def measured() -> Iterator[Server]:
    """A server to measure on, small, as the figures don't matter."""
    with Server(own_version(), {"shared_buffers": "64MB", "fsync": "off"}, rest=0) as server:
        yield server


@pytest.mark.parametrize("name", [name for name, one in SCENARIOS.items() if one.short])
def test_a_scenario_runs_and_loses_nothing(measured: Server, name: str) -> None:
    scenario = SCENARIOS[name]
    options = command_line().parse_args(["run", name, "--short"])
    systems = [SYSTEMS[system] for system in options.systems]
    run = Bench(scenario, measured, systems, options, options.rounds)
    scenario.run(run)
    assert [(one.lost, one.duplicated, one.void) for one in run.finished] == [
        (0, 0, "") for _ in run.finished
    ]
    assert {one.system for one in run.finished} == set(options.systems)
    assert all(one.values for one in run.finished)


def test_a_worker_ends_when_the_harness_has_been_killed(measured: Server, tmp_path: Path) -> None:
    classic = SYSTEMS["classic"]
    with measured.database(classic) as dsn:
        words = classic.command("work", dsn=dsn, concurrency=1, out=tmp_path / "out")
        with subprocess.Popen(
            words,
            env=classic.program.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as worker:
            worker.communicate("go\n", timeout=60)
    assert worker.returncode == 1


def test_a_scenario_names_systems_that_there_are() -> None:
    named = {name for scenario in SCENARIOS.values() for name in scenario.systems}
    assert named - SYSTEMS.keys() == set()
