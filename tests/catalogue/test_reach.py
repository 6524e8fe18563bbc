from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue.reach import Lost, lost_between
from gateway.profile.loader import load_profile
from gateway.profile.profile import Profile

PROFILE = """
[cache.disk]
path = "{folder}/cache.db"
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
[upstreams.docs]
type = "files"
root = "{folder}"
[upstreams.found]
type = "search"
upstream = "docs"
strategy = "s"
documents = [{{ path = "**/*.md" }}]
[tools.get]
description = "a tool"
strategy = "s"
[tools.get.fetch]
upstream = "api"
path = "x"
[tools.search]
description = "another"
strategy = "s"
[tools.search.input.properties]
q = {{ type = "string" }}
[tools.search.fetch]
upstream = "found"
path = ""
query = {{ q = "{{q}}" }}
"""

MORE = """[tools.other]
description = "another"
strategy = "s"
fetch = { upstream = "api", path = "z" }
"""


def profile_of(folder: Path, *changes: tuple[str, str]) -> Profile:
    text = PROFILE.format(folder=folder)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "p.toml").write_text(text)
    return load_profile("p", environ={}, cwd=folder, folders=[folder]).profile


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (("a tool", "other words"), Lost((), (), False)),
        (('"1h"', '"2h"'), Lost((), (), False)),
        (('path = "x"', 'path = "y"'), Lost(("get",), (), False)),
        (("api.example.org", "api.example.com"), Lost(("get",), ("api",), False)),
        (("[tools.get]", MORE + "[tools.get]"), Lost((), (), False)),
        (('root = "', 'root = "/srv'), Lost(("search",), ("docs", "found"), False)),
        (
            ('documents = [{ path = "**/*.md" }]', 'documents = [{ path = "*.md" }]'),
            Lost(("search",), ("found",), False),
        ),
        (("cache.db", "other.db"), Lost((), (), True)),
        (("[cache.disk]", "[cache.disk]\nenabled = false"), Lost((), (), True)),
    ],
)
def test_what_can_not_be_reached_any_more(change: tuple[str, str], lost: Lost, tmp_path: Path) -> None:
    """An answer is lost with what it says or is made of; a document with where it comes from; nothing else is."""
    assert lost_between(profile_of(tmp_path), profile_of(tmp_path, change)) == lost


def test_a_tool_that_left(tmp_path: Path) -> None:
    """What another profile does not declare can't be asked for."""
    renamed = profile_of(tmp_path, ("tools.get", "tools.fetch_it"))
    assert lost_between(profile_of(tmp_path), renamed).tools == ("get",)
