from __future__ import annotations

from pathlib import Path

from gateway.profile.difference import differences, needs_restart
from gateway.profile.loader import Loaded, load_profile

PROFILE = """
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
auth = { type = "bearer", token = "${credential:key}" }
[tools.get]
description = "a tool"
strategy = "s"
tags = ["one", "two"]
[tools.get.fetch]
upstream = "api"
path = "x"
"""


def loaded(folder: Path, text: str = PROFILE, secret: str = "s3cret-s3cret-s3cret") -> Loaded:
    (folder / "key").write_text(secret)
    (folder / "p.toml").write_text(text)
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    return load_profile("p", environ=environ, cwd=folder, folders=[folder])


def told(before: Loaded, after: Loaded) -> list[str]:
    return [str(each) for each in differences(before, after)]


def test_the_same(tmp_path: Path) -> None:
    """What is written otherwise and means the same is no difference."""
    other = PROFILE.replace('"1h"', '"60m"').replace("[tools.get]", "[tools.get]  # a comment")
    assert told(loaded(tmp_path), loaded(tmp_path, other)) == []


def test_each_key_that_differs(tmp_path: Path) -> None:
    """Changed, added and removed keys, with their values as TOML, defaults counted in."""
    other = PROFILE.replace('"1h"', '"2h"').replace('["one", "two"]', '["one"]')
    other = other.replace('description = "a tool"', 'description = "say \\"it\\""')
    other += '[tools.more]\ndescription = "more"\nstrategy = "s"\nfetch = { upstream = "api", path = "z" }\n'
    other += '[cache.memory]\nmax_size = "1GB"\n'
    lines = told(loaded(tmp_path), loaded(tmp_path, other))
    assert '~ cache.memory.max_size = "256MB" -> "1GB"' in lines
    assert '~ strategies.s.ttl = "1h" -> "2h"' in lines
    assert '~ tools.get.tags = ["one", "two"] -> ["one"]' in lines
    assert '~ tools.get.description = "a tool" -> "say \\"it\\""' in lines
    assert '+ tools.more.description = "more"' in lines
    back = told(loaded(tmp_path, other), loaded(tmp_path))
    assert '- tools.more.description = "more"' in back
    assert len(back) == len(lines)


def test_a_secret_is_compared_and_not_shown(tmp_path: Path) -> None:
    """A credential that is another one now is a difference, of which only the name is told."""
    before, after = loaded(tmp_path), loaded(tmp_path, secret="another-another-another")
    assert told(before, after) == [
        '~ upstreams.api.auth.token = "${credential:key}" -> "${credential:key}" (filled in anew)'
    ]


def test_what_takes_a_restart(tmp_path: Path) -> None:
    """The few keys that a process can't change while it runs."""
    before = loaded(tmp_path).profile
    other = PROFILE + '[server]\nfront = false\n[opentelemetry]\nendpoint = "http://127.0.0.1:9"\n'
    assert needs_restart(before, before) == []
    assert needs_restart(before, loaded(tmp_path, other).profile) == ["opentelemetry", "server.front"]
