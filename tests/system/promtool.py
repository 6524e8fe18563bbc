"""Prometheus' own linter of metrics: `promtool check metrics`, of Debian's package `prometheus`."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def found() -> str:
    """Where it is; skips where it is not installed, except under CI=true."""
    program = shutil.which("promtool")
    if program is None:
        assert os.environ.get("CI") != "true", "promtool is missing: Debian's package `prometheus` has it"
        pytest.skip("promtool is not installed; Debian's package `prometheus` has it")
    return program


def complaints(exposition: bytes) -> str:
    """What it has to say about the text; nothing, where all is well."""
    done = subprocess.run(
        [found(), "check", "metrics"], input=exposition, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode() or ("" if done.returncode == 0 else f"exit code {done.returncode}")
