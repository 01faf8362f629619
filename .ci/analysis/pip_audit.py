"""pip-audit: known vulnerabilities of what is installed with the package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from analysis.findings import Finding, Unavailable
from analysis.toolbox import Toolbox


def findings(tools: Toolbox) -> Iterator[Finding]:
    """Yields a finding for each vulnerability of each package of this environment.

    Raises:
        Unavailable: the index says nothing of any package, or cannot be reached: an index other
            than PyPI's own may have no advisories.
    """
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pinned = [line for line in frozen.splitlines() if "==" in line]
    listed = tools.folder / "installed.txt"
    listed.write_text("\n".join(pinned))
    options = ["--format=json", "--progress-spinner=off", "--no-deps", "--disable-pip"]
    answer = tools.run("pip-audit", [*options, "--requirement", listed])
    if not answer.stdout.startswith("{"):
        raise Unavailable(f"no advisories: {answer.stderr.strip().splitlines()[-1]}")
    packages = json.loads(answer.stdout)["dependencies"]
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        raise Unavailable(f"the index has advisories for none of {len(packages)} packages")
    for package in audited:
        for found in package["vulns"]:
            yield Finding(package["name"], f"{package['version']} {found['id']}")
