from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from gateway.cli.plain import plain_command, plain_options


@pytest.mark.parametrize("command", ["stdio", "serve"])
def test_what_is_spelled_plainly(command: str) -> None:
    """The two ways to serve are known by their names, with a profile and any number of overrides."""
    found = plain_command([command, "--profile", "p", "--set=a.b=1", "--set", "c=-2"], {})
    assert isinstance(found, partial)
    assert found.func.__name__ == f"_{command}"
    assert found.args == ("p", ["a.b=1", "c=-2"])


@pytest.mark.parametrize(
    "arguments", [[], ["--profile", "p"], ["check"], ["stdio", "--help"], ["serve", "p"], ["serve", "--profile"]]
)
def test_all_else(arguments: list[str]) -> None:
    """Anything else is for cyclopts, which says what is wrong with it."""
    assert plain_command(arguments, {}) is None


def test_the_environment() -> None:
    """Without --profile it is the environment's; an empty one is for cyclopts to refuse."""
    assert plain_options([], {"GATEWAY_PROFILE": "p"}) == ("p", [])
    assert plain_options(["--profile", "q"], {"GATEWAY_PROFILE": "p"}) == ("q", [])
    assert plain_options([], {"GATEWAY_PROFILE": ""}) is None


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("gateway.cli.agent", {"trio", "structlog", "cyclopts", "rich", "httpx2", "mcp", "tree_sitter", "rapidfuzz"}),
        ("gateway.cli.check", {"trio", "structlog", "rich", "httpx2", "mcp"}),
        ("gateway.cli.app", {"trio", "structlog", "pydantic", "httpx2", "mcp"}),
        ("gateway.cli.serving", {"cyclopts", "mcp", "quart", "hypercorn", "httpx2"}),
    ],
)
def test_nobody_waits_for_what_is_not_needed(module: str, without: set[str]) -> None:
    """An agent waits for the first answer, and whoever types a command for its end: both for what is imported."""
    code = f"import sys, {module}; "
    if module == "gateway.cli.agent":
        code += "from gateway.profile.loader import load_profile; load_profile('development', environ={}); "
    found = subprocess.run([sys.executable, "-c", f"{code}print(*sys.modules)"], capture_output=True, check=True)
    assert not without & set(found.stdout.decode().split())
