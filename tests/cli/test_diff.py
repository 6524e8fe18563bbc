from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.app import app

PROFILE = """
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
[tools.get]
description = "a tool"
strategy = "s"
[tools.get.fetch]
upstream = "api"
path = "x"
"""


def run(*arguments: str) -> int:
    code: int = app(["diff", *arguments])
    return code


def test_what_a_reload_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys that differ, and what of the cache they cost; an override is counted in. Exits as diff(1) does."""
    before, after = tmp_path / "a.toml", tmp_path / "b.toml"
    before.write_text(PROFILE)
    after.write_text(PROFILE.replace('path = "x"', 'path = "y"'))
    assert run(str(before), str(before)) == 0
    assert capsys.readouterr().out == ""
    assert run(str(before), str(after), "--set", "server.front=false") == 1
    assert capsys.readouterr().out.splitlines() == [
        "~ server.front = true -> false",
        '~ tools.get.fetch.path = "x" -> "y"',
        "",
        "answers made anew: get",
        "at a restart only: server.front",
    ]
    assert run(str(before), str(before), "--set", "strategies.s.ttl=2h") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "nothing that is kept becomes useless"


def test_a_profile_that_can_not_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is told as `gateway check` tells it."""
    (tmp_path / "a.toml").write_text(PROFILE + "unknown = 1\n")
    assert run(str(tmp_path / "a.toml"), str(tmp_path / "a.toml")) == 2
    assert "unknown" in capsys.readouterr().err
