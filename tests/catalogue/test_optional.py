from __future__ import annotations

from pathlib import Path

import trio.testing

from gateway.errors import UpstreamUnavailable
from tests.catalogue.rig import open_rig, text_of
from tests.fakes.upstream import FakeUpstream

TOOL = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { name = { type = "string", default = "" }, version = { type = "string", default = "latest" } }
derive = { file = "camel(name)" }
tags = ["file:{file}"]
[tools.t.fetches.api]
upstream = "api"
path = "api.json"
[tools.t.fetches.page]
upstream = "api"
path = "{file}.md"
version = "{version}"
optional = true
when = "name != ''"
[tools.t.result]
select = "{ api: api, page: page, file: arg('file'), release: release('page') }"
"""


async def test_a_document_that_is_wanted_for_some_arguments(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Where `when` finds nothing it is not asked for and is null; a derived value stands in its path and in tags."""
    api = FakeUpstream(documents={"api.json": b"1", "menuOption.md@2.0.0": b"2"})
    async with open_rig(tmp_path, TOOL, api=api) as rig:
        assert await rig.value() == {"api": 1, "page": None, "file": "", "release": None}
        assert len(api.asked) == 1
        found = await rig.call(name="menu-option")
        assert found.answer is not None
        assert "file:menuOption" in found.answer.entry.tags
        assert await rig.value(name="menu-option") == {"api": 1, "page": 2, "file": "menuOption", "release": "2.0.0"}


async def test_an_optional_document_that_is_not_there(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """It is null for as long as its absence is remembered, and is found once it is there."""
    api = FakeUpstream(documents={"api.json": b"1"})
    head = '[strategies.s.negative]\nnot_found = "10s"\n'
    async with open_rig(tmp_path, head + TOOL, api=api) as rig:
        assert (await rig.value(name="a"))["page"] is None
        api.documents["a.md@2.0.0"] = b"2"
        await trio.sleep(9)
        assert (await rig.value(name="a"))["page"] is None
        await trio.sleep(2)
        assert (await rig.value(name="a"))["page"] == 2


async def test_an_optional_document_whose_absence_is_not_kept(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """It is looked for at every call."""
    api = FakeUpstream(documents={"api.json": b"1"})
    async with open_rig(tmp_path, '[strategies.s.negative]\nnot_found = "0s"\n' + TOOL, api=api) as rig:
        assert (await rig.value(name="a"))["page"] is None
        api.documents["a.md@2.0.0"] = b"2"
        assert (await rig.value(name="a"))["page"] == 2


async def test_an_optional_document_of_an_unknown_release(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Is null as well; an upstream that fails is no absence."""
    api = FakeUpstream(documents={"api.json": b"1", "a.md@2.0.0": UpstreamUnavailable("api", "down")})
    async with open_rig(tmp_path, TOOL, api=api) as rig:
        assert (await rig.value(name="a", version="9"))["page"] is None
        assert await rig.sentence(name="a") == "api: down"


async def test_a_list_of_releases(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """`releases` is the list as a document, newest first, whatever the upstream's own form of it."""
    tool = '[tools.t]\ndescription = "d"\nstrategy = "s"\nfetch = { upstream = "api", releases = true }\n'
    async with open_rig(tmp_path, tool, api=FakeUpstream(releases_listed=("1.0.0", "2.0.0", "x"))) as rig:
        assert await rig.value() == {"tags": {}, "versions": ["2.0.0", "1.0.0"]}


async def test_an_answer_made_of_arguments_alone(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A tool may read nothing at all."""
    tool = (
        '[tools.t]\ndescription = "d"\nstrategy = "s"\ninput.properties.code = { type = "string" }\n'
        "result = { select = \"join('', ['https://example.org/#', base64(arg('code'))])\", format = 'text' }\n"
    )
    async with open_rig(tmp_path, tool) as rig:
        assert text_of(await rig.call(code="<p/>")) == "https://example.org/#PHAvPg=="
        assert rig.api.asked == []


async def test_which_release_a_message_names(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The one that the argument `version` stands for, also where another document is always of the latest release."""
    tool = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { version = { type = "string", default = "latest" } }
fetches.log = { upstream = "api", path = "log", version = "latest" }
fetches.page = { upstream = "api", path = "page", version = "{version}" }
result.select = "{ asked: arg('version'), log: release('log'), page: release('page') }"
"""
    async with open_rig(tmp_path, tool, api=FakeUpstream(otherwise=b"1")) as rig:
        assert await rig.value(version="^1.0.0") == {"asked": "1.1.0", "log": "2.0.0", "page": "1.1.0"}


async def test_a_document_under_another_name(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Where there is none at the one path, the other one is asked for; where there is none at all, that is said."""
    tool = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { version = { type = "string", default = "latest" } }
fetch = { upstream = "api", path = "new.json", else_path = "old.json", version = "{version}" }
result.missing = "Nothing in {version}."
"""
    api = FakeUpstream(documents={"new.json@2.0.0": b'{"a":2}', "old.json@1.1.0": b'{"a":1}'})
    async with open_rig(tmp_path, tool, api=api) as rig:
        assert await rig.value() == {"a": 2}
        assert api.times("old.json@2.0.0") == 0
        assert await rig.value(version="1.1.0") == {"a": 1}
        assert await rig.sentence(version="1.0.0") == "Nothing in 1.0.0."
