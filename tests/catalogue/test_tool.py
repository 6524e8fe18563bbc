from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.catalogue.tool import Tool
from gateway.errors import GatewayError, UnknownTool, UpstreamNotFound, UpstreamUnavailable
from gateway.pipeline.model import Policy
from tests.catalogue.rig import meta_of, open_rig, profile_of
from tests.fakes.upstream import FakeUpstream, spelled

COMPONENTS = """
[tools.t]
description = "d"
strategy = "s"
tags = ["component:{name}"]
input.properties = { name = { type = "string" }, version = { type = "string", default = "latest" } }
normalize = { name = "kebab(name)" }
[tools.t.fetch]
upstream = "api"
path = "all.json"
version = "{version}"
[tools.t.result]
select = "tags[?name == arg('name')] | [0]"
missing = "No {name} in {version}. {nearest} Ask list."
nearest = { of = "tags[].name", to = "name", max = 2 }
"""
ALL = b'{"tags":[{"name":"button"},{"name":"button-group"},{"name":"input"},{"name":"dialog"}]}'
SEVERAL = """
[tools.t]
description = "d"
strategy = "s"
[tools.t.fetches.a]
upstream = "api"
path = "a.json"
[tools.t.fetches.b]
upstream = "other"
path = "b.json"
[tools.t.result]
select = "{ sum: [a.n, b.n] }"
[upstreams.other]
type = "http"
base_url = "https://other.example.org"
"""


def components(**more: bytes | GatewayError) -> FakeUpstream:
    return FakeUpstream(documents={"all.json@2.0.0": ALL, "all.json@1.1.0": ALL, **more})


async def test_answer(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The first answer is loaded, the second comes from memory, in any spelling of the name."""
    async with open_rig(tmp_path, COMPONENTS, api=components()) as rig:
        assert await rig.value(name="button-group") == {"name": "button-group"}
        assert await rig.status(name="ButtonGroup") == ("hit", "memory")
        assert await rig.status(name="button_group", version="latest") == ("hit", "memory")


async def test_unknown_tool(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A tool that is not declared is a protocol error, not an answer."""
    async with open_rig(tmp_path, COMPONENTS) as rig:
        with pytest.raises(UnknownTool, match=r"^Unknown tool: nope$"):
            await rig.call("nope")


async def test_nothing_found(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """What is missing is said in the profile's words, with the nearest names and as the caller spelled it."""
    async with open_rig(tmp_path, COMPONENTS, api=components()) as rig:
        assert await rig.sentence(name="Buton") == ("No Buton in 2.0.0. Did you mean button or button-group? Ask list.")
        assert await rig.sentence(name="zzz") == "No zzz in 2.0.0. Ask list."
        assert await rig.sentence(name="\x1b[31mzz\n" + "z" * 500) == (
            "No ?[31mzz?" + "z" * 71 + "… in 2.0.0. Ask list."
        )


async def test_a_missing_document_with_names_from_another(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A document that is not there is said like anything missing; the names come from where the profile says."""
    text = COMPONENTS.replace('path = "all.json"', 'path = "{name}.json"').replace(
        "nearest = { of", 'nearest = { fetch = { upstream = "api", path = "all.json", version = "latest" }, of'
    )
    async with open_rig(tmp_path, text, api=components()) as rig:
        assert await rig.sentence(name="buton", version="1.x") == (
            "No buton in 1.x. Did you mean button or button-group? Ask list."
        )
        rig.api.documents["all.json@2.0.0"] = UpstreamUnavailable("api", "no answer")
        assert (await rig.sentence(name="inputt", version="1.x")).startswith("No inputt in 1.x.")


@pytest.mark.parametrize("names", [b'{"tags":[{"name":1},{"name":null},{"name":{"a":1}},{"name":"button"}]}'])
async def test_odd_names_are_no_suggestions(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, names: bytes
) -> None:
    """Suggestions are a courtesy: names that are none are left out, and the sentence is said all the same."""
    api = FakeUpstream(documents={"all.json@2.0.0": names})
    async with open_rig(tmp_path, COMPONENTS, api=api) as rig:
        assert await rig.sentence(name="buton") == "No buton in 2.0.0. Did you mean button? Ask list."


async def test_nothing_found_and_nothing_declared_to_say(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Without `missing` there is a sentence too."""
    text = COMPONENTS.partition("missing")[0]
    async with open_rig(tmp_path, text, api=components()) as rig:
        assert await rig.sentence(name="zzz") == "t found nothing for these arguments."


async def test_unknown_version(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A version that does not exist is answered with the newest ones, and no document is asked for."""
    async with open_rig(tmp_path, COMPONENTS, api=components()) as rig:
        assert await rig.sentence(name="button", version="9.9.9") == (
            "api: no release matches version '9.9.9'. The newest are 2.0.0, 1.1.0, 1.0.0."
        )
        assert [wanted.listing for wanted in rig.api.asked] == [True]


async def test_ranges_share_a_document(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A range, a tag and the release itself are one document, and the list of releases is asked for once."""
    async with open_rig(tmp_path, COMPONENTS, api=components()) as rig:
        for version in ("1.x", "1.1.0", "^1.0.0"):
            assert await rig.value(name="button", version=version) == {"name": "button"}
        assert [spelled(wanted) for wanted in rig.api.asked] == ["releases", "all.json@1.1.0"]


async def test_a_list_of_releases_that_is_not_there(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """When an upstream has no list of releases, that is what is said, not that the component is missing."""
    api = components(releases=UpstreamNotFound("api", "404 for the list"))
    async with open_rig(tmp_path, COMPONENTS, api=api) as rig:
        sentence = await rig.sentence(name="button")
        assert "404 for the list" in sentence
        assert "No button" not in sentence


async def test_documents_in_parallel(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Several documents are fetched at the same time, and the expression sees each by its name."""
    api = FakeUpstream(documents={"a.json": b'{"n":1}'}, delay=10)
    other = FakeUpstream("other", documents={"b.json": b'{"n":2}'}, delay=10)
    async with open_rig(tmp_path, SEVERAL, api=api, other=other) as rig:
        began = trio.current_time()
        assert await rig.value() == {"sum": [1, 2]}
        assert trio.current_time() - began == pytest.approx(10)


async def test_the_first_declared_failure_is_reported(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Which failure is told does not depend on which came first, and the other document is kept."""
    api = FakeUpstream(documents={"a.json": UpstreamUnavailable("api", "late")}, delay=10)
    other = FakeUpstream("other", documents={"b.json": UpstreamUnavailable("other", "early")}, delay=1)
    async with open_rig(tmp_path, SEVERAL, api=api, other=other) as rig:
        assert await rig.sentence() == "api: late"
        rig.api.documents["a.json"] = b'{"n":1}'
        assert await rig.sentence() == "other: early"
        other.documents["b.json"] = b'{"n":2}'
        assert await rig.value() == {"sum": [1, 2]}
        assert rig.api.times("a.json") == 2


async def test_an_answer_that_is_not_as_declared(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """An answer that the output schema does not allow is an error with the place, and is not kept."""
    text = COMPONENTS + '[tools.t.output]\nrequired = ["name"]\nproperties = { name = { type = "integer" } }\n'
    async with open_rig(tmp_path, text, api=components()) as rig:
        assert await rig.sentence(name="button") == (
            't: the answer is not what tools.t.output declares: name: "button" is not of type "integer"'
        )
        assert not any(key.startswith("result:") for key in rig.disk.entries)


async def test_an_error_is_never_kept(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Neither what is missing nor what failed is stored: the next call asks again."""
    async with open_rig(tmp_path, COMPONENTS, api=components()) as rig:
        await rig.sentence(name="nope")
        await rig.sentence(name="button", version="9.9.9")
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(key.partition(":")[0] for key in rig.disk.entries) == ["document", "document"]
        assert rig.memory.entries("result:*") == []


async def test_a_tool_that_changes_something(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """What is not read-only is done once for each call: its answer is not kept, and nobody shares it."""
    text = COMPONENTS.replace("[tools.t.fetch]", "annotations = { read_only = false }\n[tools.t.fetch]")
    async with open_rig(tmp_path, text, api=components()) as rig:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(partial(rig.status, name="button"))
        assert await rig.status(name="button") == ("miss", "upstream")
        assert await rig.status(name="button") == ("miss", "upstream")
        await trio.testing.wait_all_tasks_blocked()
        assert rig.api.times("all.json@2.0.0") == 4
        assert not any("all.json" in key or key.startswith("result:") for key in rig.disk.entries)


async def test_tags(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A result carries its own tags, filled in, those of its tool and strategy, and those of its documents."""
    async with open_rig(tmp_path, COMPONENTS, api=components()) as rig:
        answer = (await rig.call(name="Button")).answer
        assert answer is not None
        assert set(answer.entry.tags) == {"component:button", "tool:t", "strategy:s", "upstream:api", "floating:api"}


async def test_a_result_is_no_fresher_than_its_document(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A result made of an old document is as old as that, and stays fresh no longer."""
    text = COMPONENTS.replace('version = "{version}"\n', "").replace("all.json", "all.json")
    async with open_rig(tmp_path, text, api=FakeUpstream(documents={"all.json": ALL})) as rig:
        await rig.value(name="button")
        await trio.sleep(60)
        about = meta_of(await rig.call(name="input"))
        assert (about["status"], about["age"], about["expires"]) == ("miss", 60.0, 40.0)


async def test_a_result_is_no_fresher_than_the_list_of_releases(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """`latest` is as old as the list of releases that it was looked up in, even if the file itself can't change."""
    api = components()
    api.immutable = True
    async with open_rig(tmp_path, COMPONENTS, api=api) as rig:
        await rig.value(name="button")
        await trio.sleep(60)
        assert meta_of(await rig.call(name="input"))["age"] == 60.0
        await trio.sleep(60)
        rig.api.releases_listed = ("2.0.1", "2.0.0")
        rig.api.documents["all.json@2.0.1"] = b'{"tags":[{"name":"button","new":true}]}'
        await rig.status(name="button")  # stale: this one is answered at once, and refreshed behind it
        await trio.sleep(1)
        assert await rig.value(name="button") == {"name": "button", "new": True}


async def test_an_exact_release_does_not_age(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A file of a release that was asked for by its name can't have changed, however old the list of releases is."""
    api = components()
    api.immutable = True
    async with open_rig(tmp_path, COMPONENTS, api=api) as rig:
        await rig.value(name="button", version="2.0.0")
        await trio.sleep(60)
        assert meta_of(await rig.call(name="input", version="2.0.0"))["age"] == 0.0


async def test_a_refresh_asks_for_fresh_documents(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A stale result is served at once; its refresh does not make it out of the stale document again."""
    text = COMPONENTS.replace('version = "{version}"\n', "")
    async with open_rig(tmp_path, text, api=FakeUpstream(documents={"all.json": ALL})) as rig:
        await rig.value(name="button")
        rig.api.documents["all.json"] = b'{"tags":[{"name":"button","new":true}]}'
        await trio.sleep(120)
        assert await rig.status(name="button") == ("stale", "memory")
        await trio.sleep(1)
        assert await rig.value(name="button") == {"name": "button", "new": True}
        assert rig.api.times("all.json") == 2


async def test_a_stale_answer_when_the_upstream_fails(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """With the upstream down the old answer is served for `stale_if_error`, says so, and then is not."""
    text = COMPONENTS.replace('version = "{version}"\n', "")
    async with open_rig(tmp_path, text, api=FakeUpstream(documents={"all.json": ALL})) as rig:
        await rig.value(name="button")
        rig.api.documents["all.json"] = UpstreamUnavailable("api", "down")
        await trio.sleep(500)
        about = meta_of(await rig.call(name="button"))
        assert (about["status"], about["age"], about["expires"]) == ("stale", 500.0, -400.0)
        await trio.sleep(1000)
        assert await rig.sentence(name="button") == "api: down"


async def test_arguments_that_json_can_not_hold(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Half of a surrogate pair is the caller's fault, whether the tool is cached or not."""
    for hints in ("", "annotations = { read_only = false }\n"):
        text = COMPONENTS.replace("[tools.t.fetch]", hints + "[tools.t.fetch]")
        async with open_rig(tmp_path, text.replace("kebab(name)", "name"), api=components()) as rig:
            assert (await rig.sentence(name="\ud800")).startswith("Invalid arguments: ")
            assert rig.api.asked == []


async def test_a_large_integer_in_a_path(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """An integer beyond 64 bits names its document, and comes back as it is."""
    text = """
        [tools.t]
        description = "d"
        strategy = "s"
        input.properties = { id = { type = "integer" }, more = true }
        fetch = { upstream = "api", path = "things/{id}" }
        result.select = "{ id: arg('id') }"
        """
    async with open_rig(tmp_path, text, api=FakeUpstream(documents={f"things/{10**30}": b"{}"})) as rig:
        assert str(10**30).encode() in (await rig.call(id=10**30)).payload


async def test_null_arguments(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A call without arguments at all is a call with none."""
    text = SEVERAL.replace('upstream = "other"', 'upstream = "api"')
    api = FakeUpstream(documents={"a.json": b'{"n":1}', "b.json": b'{"n":2}'})
    async with open_rig(tmp_path, text, api=api, other=FakeUpstream("other")) as rig:
        assert not (await rig.catalogue.call("t", None)).is_error
        assert await rig.status() == ("hit", "memory")


async def test_an_empty_document(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """An empty Markdown file has no examples, which is an answer."""
    text = """
        [tools.t]
        description = "d"
        strategy = "s"
        fetch = { upstream = "api", path = "a.md" }
        result.select = "{ examples: code_blocks(@), sections: sections(@) }"
        """
    api = FakeUpstream(documents={"a.md": b""}, media_type="text/markdown")
    async with open_rig(tmp_path, text, api=api) as rig:
        assert await rig.value() == {"examples": [], "sections": []}


def fingerprint(folder: Path, text: str, identity: str = "1") -> str:
    section = profile_of(folder, text).tools["t"]
    return Tool("t", section, Policy("s", 1), {"api": identity}).key({})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("all.json", "other.json"),
        ("| [0]", "| [1]"),
        ("kebab(name)", "lower(name)"),
        ('tags = ["component:{name}"]', 'tags = ["c:{name}"]'),
        ('default = "latest"', 'default = "1.x"'),
        ("[tools.t.result]", '[tools.t.output]\nproperties = { a = { type = "string" } }\n[tools.t.result]'),
        ("[tools.t.result]", '[tools.t.result]\nformat = "text"'),
    ],
)
def test_another_declaration_is_another_key(old: str, new: str, tmp_path: Path) -> None:
    """Whatever changes the answer changes the key, so that answers of an older profile are not served."""
    assert fingerprint(tmp_path, COMPONENTS) != fingerprint(tmp_path, COMPONENTS.replace(old, new, 1))


def test_another_upstream_is_another_key(tmp_path: Path) -> None:
    """So does another address of the upstream."""
    assert fingerprint(tmp_path, COMPONENTS) != fingerprint(tmp_path, COMPONENTS, "2")


@pytest.mark.parametrize(
    ("old", "new"),
    [('description = "d"', 'description = "e"'), ('description = "d"', 'description = "d"\ntitle = "T"')],
)
def test_words_for_people_are_no_part_of_the_key(old: str, new: str, tmp_path: Path) -> None:
    """A corrected title or description costs nobody the cache."""
    assert fingerprint(tmp_path, COMPONENTS) == fingerprint(tmp_path, COMPONENTS.replace(old, new, 1))


async def test_definitions(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Tools are listed in the profile's order, with closed schemas and their hints."""
    async with open_rig(tmp_path, COMPONENTS + COMPONENTS.replace("tools.t", "tools.a")) as rig:
        first, second = rig.catalogue.definitions
        assert (first["name"], second["name"]) == ("t", "a")
        assert first["inputSchema"]["additionalProperties"] is False
        assert first["annotations"]["readOnlyHint"] is True
