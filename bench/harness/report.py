"""Turns the raw values in ``bench/results`` into Markdown and plots beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.harness.bars import bars
from bench.harness.lines import lines
from bench.harness.results import Results
from bench.harness.scenario import Bars, Scenario
from bench.harness.table import LEGEND, markdown


def report(folder: Path, scenarios: Mapping[str, Scenario]) -> Iterator[Path]:
    """Writes a page for each file of raw values, and its plots, and yields what it wrote."""
    for file in sorted(folder.glob("*.json")):
        results = Results.read(file)
        scenario = scenarios[results.scenario]
        drawn = {}
        for number, plot in enumerate(scenario.plots, 1):
            image = bars(results, plot) if isinstance(plot, Bars) else lines(results, plot)
            if image:
                target = file.with_name(f"{file.stem}-{number}.svg")
                target.write_text(image)
                drawn[target] = plot.title
                yield target
        page = file.with_suffix(".md")
        page.write_text(_page(scenario, results, drawn))
        yield page


def _page(scenario: Scenario, results: Results, drawn: Mapping[Path, str]) -> str:
    facts = results.facts
    settings = ", ".join(f"{name} {value}" for name, value in facts["settings"].items())
    parts = [
        f"# {scenario.name}, PostgreSQL {facts['postgres']}",
        scenario.about,
        markdown(results).rstrip(),
        LEGEND,
        *(f"![{title}]({file.name})" for file, title in drawn.items()),
        "\n".join(
            [
                f"- Command: `{results.command}`",
                f"- {facts['date']}, commit {facts['commit']}, {facts['cores']} cores, "
                f"{facts['machine']}, Python {facts['python']}; everything on one machine",
                f"- Settings: {settings}",
                *_systems(results),
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _systems(results: Results) -> Iterator[str]:
    for name, system in results.systems.items():
        versions = ", ".join(
            f"{package} {version}" for package, version in system["versions"].items()
        )
        yield f"- {name}: {system['summary']} ({versions})"
