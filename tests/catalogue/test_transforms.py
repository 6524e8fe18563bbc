"""Tools that a profile alone makes out of two releases, a change log and tables: no code, only TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import trio.testing

from tests.catalogue.rig import open_rig, text_of
from tests.fakes.upstream import FakeUpstream

MIGRATION = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { from = { type = "string" }, to = { type = "string", default = "latest" } }
[tools.t.fetches.old]
upstream = "api"
path = "api.json"
version = "{from}"
[tools.t.fetches.new]
upstream = "api"
path = "api.json"
version = "{to}"
[tools.t.fetches.log]
upstream = "docs"
path = "changes.json"
[tools.t.result]
select = '''
{
  from: release('old'), to: release('new'),
  changes: diff_by(old.components, new.components, 'name')[].{change: change, path: join('.', path)},
  releases: changelog(log.text)[?between(version, release('old'), release('new'))].{version: version, text: text}
}'''
text = '''
# From {from} to {to}
{changes}

{releases}'''
each = { changes = "- {change}: {path}", releases = "{text}" }
[upstreams.docs]
type = "http"
base_url = "https://docs.example.org"
"""

OLD = {"components": [{"name": "button", "props": [{"name": "size"}, {"name": "round"}]}, {"name": "gone"}]}
NEW = {"components": [{"name": "button", "props": [{"name": "size", "default": 1}]}, {"name": "fresh"}]}
LOG = "# 2.0.0\nmajor\n# 1.1.0\nminor\n# 1.0.0\nfirst\n"

TEMPLATE = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { name = { type = "string" }, props = { type = "array", items = { type = "string" } } }
fetch = { upstream = "api", path = "api.json" }
[tools.t.result]
format = "text"
select = '''
components[?name == arg('name')] | [0] | @ && {
  name: pascal(name), tag: name,
  props: join('', props[?contains(arg('props'), name)].format(' {name}="{default}"', @))
}'''
text = '''
<script setup>
import {{ {name} }} from "library"
</script>
<template><{tag}{props} /></template>'''
"""

COMPATIBLE = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { installed = { type = "object" }, limit = { type = "integer" } }
fetch = { upstream = "api", path = "package.json" }
[tools.t.result]
select = '''
items(peers)[].{ name: key, wanted: value, fits: satisfies(get(arg('installed'), key), value) }
  | take(@, arg('limit'))'''
"""


async def test_what_two_releases_differ_in(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A migration guide: the difference of two documents by name, and the change log between their releases."""
    api = FakeUpstream(documents={"api.json@1.0.0": orjson.dumps(OLD), "api.json@2.0.0": orjson.dumps(NEW)})
    docs = FakeUpstream("docs", documents={"changes.json": orjson.dumps({"text": LOG})})
    async with open_rig(tmp_path, MIGRATION, api=api, docs=docs) as rig:
        result = await rig.call(**{"from": "1.0.x"})
        assert text_of(result) == (
            "# From 1.0.0 to 2.0.0\n"
            "- added: button.props.size.default\n- removed: button.props.round\n- removed: gone\n- added: fresh\n\n"
            "# 2.0.0\nmajor\n# 1.1.0\nminor"
        )
        structured = orjson.loads(result.payload)["structuredContent"]
        assert [one["version"] for one in structured["releases"]] == ["2.0.0", "1.1.0"]
        again = orjson.loads((await rig.call(**{"from": "2.0.0"})).payload)["structuredContent"]
        assert (again["changes"], again["releases"]) == ([], [])


async def test_a_template_with_real_props(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A text that holds braces and only the props that there are."""
    documented: dict[str, Any] = {"components": [{"name": "my-button", "props": [{"name": "size", "default": "big"}]}]}
    api = FakeUpstream(documents={"api.json": orjson.dumps(documented)})
    async with open_rig(tmp_path, TEMPLATE, api=api) as rig:
        result = await rig.call(name="my-button", props=["size", "invented"])
        assert text_of(result) == (
            '<script setup>\nimport { MyButton } from "library"\n</script>\n'
            '<template><my-button size="big" /></template>'
        )


async def test_published_ranges(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Dependencies by name and range, each against the version that the caller has."""
    api = FakeUpstream(documents={"package.json": orjson.dumps({"peers": {"vue": "^3.2.0", "vite": ">=5", "x": "*"}})})
    async with open_rig(tmp_path, COMPATIBLE, api=api) as rig:
        assert await rig.value(installed={"vue": "3.4.1", "vite": "4.0.0"}) == {
            "result": [
                {"name": "vue", "wanted": "^3.2.0", "fits": True},
                {"name": "vite", "wanted": ">=5", "fits": False},
                {"name": "x", "wanted": "*", "fits": None},
            ]
        }
        assert len((await rig.value(installed={}, limit=1))["result"]) == 1
