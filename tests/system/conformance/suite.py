"""The protocol's own conformance suite: installed from npm once for all workers, run, and its results read."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "node@24"
"""What the suite needs to run is newer than Debian's."""
_TIMESTAMP = re.compile(r"-\d{4}-\d{2}-\d{2}T[\d-]+Z$")


@dataclass(frozen=True)
class Check:
    """One thing that the suite has looked at."""

    scenario: str
    id: str
    status: str
    message: str

    def __str__(self) -> str:
        return f"{self.scenario}: {self.id}: {self.message}"


@dataclass(frozen=True)
class Suite:
    """The suite and the Node.js that runs it."""

    modules: Path

    def run(self, url: str, revision: str, results: Path) -> list[Check]:
        """The checks of all scenarios that are asked of a server of a revision; its exit code says nothing more."""
        program = self.modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
        node = self.modules / "node" / "bin" / "node"
        options = ("--url", url, "--requirements", revision, "--output-dir", str(results))
        ended = subprocess.run(
            [str(node), str(program), "server", *options], env={}, capture_output=True, text=True, timeout=100
        )
        assert "=== SUMMARY ===" in ended.stdout, ended.stdout + ended.stderr
        return [check for folder in sorted(results.iterdir()) for check in _checks(folder)]

    def required(self, revision: str) -> set[str]:
        """The scenarios that were frozen with the revision."""
        return set(self._requirements(revision)["server"])

    def extensions(self, revision: str) -> set[str]:
        """The scenarios of extensions of the protocol, which no server has to have."""
        more = self._requirements(revision)["not_scored"]
        return {each["scenario"] for each in more if each["reason"] == "extension"}

    def _requirements(self, revision: str) -> dict[str, Any]:
        file = self.modules / "@modelcontextprotocol" / "conformance" / "requirements" / f"{revision}.yaml"
        found = yaml.safe_load(file.read_text())
        assert isinstance(found, dict)
        return found


def _checks(folder: Path) -> list[Check]:
    scenario = _TIMESTAMP.sub("", folder.name).removeprefix("server-")
    found = json.loads((folder / "checks.json").read_text())
    return [Check(scenario, each["id"], each["status"], each.get("errorMessage") or "") for each in found]


@pytest.fixture(scope="session")
def suite(request: pytest.FixtureRequest) -> Suite:
    """The installed suite, kept in pytest's cache; skips where npm can't install any, except under CI=true."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir(f"conformance-{SUITE.rpartition('@')[2]}-{NODE}")
    installed = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # each worker of xdist comes here
        if not installed.exists():
            _install(folder)
            installed.touch()
    return Suite(folder / "node_modules")


def _install(folder: Path) -> None:
    quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", str(folder))
    try:
        command = ["npm", "install", *quiet, NODE, SUITE]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, timeout=240, check=True)
        node = folder / "node_modules" / "node" / "bin" / "node"  # a script of its package puts it there
        subprocess.run([node, "--version"], stdout=subprocess.DEVNULL, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the conformance suite can't be installed: {error}")
