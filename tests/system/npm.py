"""MCP's own servers, installed from npm once for a whole session, by npm's own configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PACKAGES = ("@modelcontextprotocol/server-everything", "@modelcontextprotocol/server-filesystem")


@pytest.fixture(scope="session")
def npm_servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed packages; skips where npm can't install any, except under CI=true."""
    folder = tmp_path_factory.mktemp("npm")
    quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    try:
        subprocess.run(["npm", "install", *quiet, *PACKAGES], cwd=folder, capture_output=True, timeout=100, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"MCP's servers can't be installed: {error}")
    return folder / "node_modules"


def program(folder: Path, name: str) -> str:
    """The file that Node.js runs for a server."""
    return str(folder / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js")
