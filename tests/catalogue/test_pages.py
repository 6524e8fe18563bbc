from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio.testing

from gateway.catalogue.result import CallResult
from gateway.errors import UpstreamUnavailable
from gateway.pipeline.invalidation import Selector
from tests.catalogue.rig import Rig, open_rig, text_of
from tests.fakes.upstream import FakeUpstream

LIST = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { name = { type = "string", default = "a" } }
fetch = { upstream = "api", path = "{name}.json" }
[tools.t.output]
required = ["about", "things"]
additionalProperties = false
[tools.t.output.properties]
about = { type = "string" }
things = { type = "array", items = { type = "object" } }
[tools.t.result]
max_output = "2KB"
"""
PAGE = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { name = { type = "string", default = "a" } }
fetch = { upstream = "api", path = "{name}.json" }
result = { select = "text", format = "text", max_output = "2KB" }
"""
PROSE = "\n".join(f"## Part {number}\n\n{'word ' * 40}\n" for number in range(40))


def things(count: int, about: str = "x", width: int = 60) -> bytes:
    listed = [{"name": f"thing {number}", "about": "y" * width} for number in range(count)]
    return orjson.dumps({"about": about, "things": listed})


def prose() -> FakeUpstream:
    return FakeUpstream(documents={"a.json": orjson.dumps({"text": PROSE}), "b.json": orjson.dumps({"text": PROSE})})


def listing(count: int = 200) -> FakeUpstream:
    return FakeUpstream(documents={"a.json": things(count), "b.json": things(count)})


async def parts_of(rig: Rig, **arguments: Any) -> list[dict[str, Any]]:
    """Every part of an answer, by the cursors that they give."""
    parts = [orjson.loads((await rig.call(**arguments)).payload)]
    while (cursor := parts[-1]["_meta"].get("gateway/nextCursor")) is not None:
        parts.append(orjson.loads((await rig.call(**arguments, cursor=cursor)).payload))
        assert not parts[-1].get("isError"), parts[-1]
    return parts


def next_of(result: CallResult) -> str:
    cursor = orjson.loads(result.payload)["_meta"]["gateway/nextCursor"]
    assert isinstance(cursor, str)
    return cursor


async def test_an_array_is_shared_out(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The parts hold every element once, each fits, is as its schema says, and says how to go on."""
    async with open_rig(tmp_path, LIST, api=listing()) as rig:
        parts = await parts_of(rig)
        assert len(parts) > 5
        structured = [part["structuredContent"] for part in parts]
        names = [thing["name"] for part in structured for thing in part["things"]]
        assert names == [f"thing {number}" for number in range(200)]
        for number, part in enumerate(parts, 1):
            text, note = (content["text"] for content in part["content"])
            assert orjson.loads(text) == part["structuredContent"]
            assert len(text) + len(note) <= 2000
            assert note.startswith(f"Part {number} of {len(parts)}")
        cursor = structured[0]["nextCursor"]
        assert parts[0]["content"][1]["text"] == (
            f'Part 1 of {len(parts)}. For the next one call t with the same arguments and cursor = "{cursor}".'
        )
        assert parts[-1]["content"][1]["text"] == f"Part {len(parts)} of {len(parts)}, the last one."
        assert "nextCursor" not in structured[-1]
        assert rig.api.times("a.json") == 1


async def test_a_text_is_cut_between_lines(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The parts of a text are the text; they begin at headings."""
    async with open_rig(tmp_path, PAGE, api=prose()) as rig:
        parts = await parts_of(rig)
        texts = [part["content"][0]["text"] for part in parts]
        assert "".join(texts) == PROSE
        assert all(text.startswith("## Part ") for text in texts)
        assert all(len(text) + len(part["content"][1]["text"]) <= 2000 for text, part in zip(texts, parts, strict=True))


async def test_an_answer_within_the_budget(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """It is what it would be without a budget."""
    async with open_rig(tmp_path, LIST, api=listing(3)) as rig:
        (part,) = await parts_of(rig)
        assert part["structuredContent"] == orjson.loads(things(3))
        assert len(part["content"]) == 1


async def test_all_parts_are_one_entry(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Every part is a hit of the same entry, in whatever order; a purge takes the whole."""
    async with open_rig(tmp_path, LIST, api=listing()) as rig:
        cursor = next_of(await rig.call())
        assert await rig.status(cursor=cursor) == ("hit", "memory")
        assert await rig.status(cursor="") == ("hit", "memory")
        assert len(rig.memory.entries("result:*")) == 1
        await rig.pipeline.purge(Selector("tag", "tool:t"))
        assert await rig.status(cursor=cursor) == ("miss", "upstream")


async def test_the_definition(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The tool takes a cursor, and its output schema knows of the next one."""
    async with open_rig(tmp_path, LIST, api=listing()) as rig:
        (definition,) = rig.catalogue.definitions
        assert definition["inputSchema"]["properties"]["cursor"]["type"] == "string"
        assert definition["outputSchema"]["properties"]["nextCursor"]["type"] == "string"
        assert definition["outputSchema"]["required"] == ["about", "things"]


async def test_a_changed_whole(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A cursor of what is no more starts again rather than mixing parts; the same content keeps its cursors."""
    async with open_rig(tmp_path, LIST, api=listing()) as rig:
        cursor = next_of(await rig.call())
        await rig.pipeline.purge(Selector("all"))
        assert next_of(await rig.call()) == cursor
        assert await rig.status(cursor=cursor) == ("hit", "memory")
        for count in (199, 3):
            rig.api.documents["a.json"] = things(count)
            await rig.pipeline.purge(Selector("all"))
            assert await rig.sentence(cursor=cursor) == (
                "The answer has changed since this cursor was given: start again without cursor."
            )


async def test_cursors_of_others(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A cursor of other arguments, and one that nobody gave, are refused in a sentence."""
    async with open_rig(tmp_path, LIST, api=listing()) as rig:
        cursor = next_of(await rig.call())
        assert (await rig.sentence(name="b", cursor=cursor)).startswith("cursor: it belongs to another call.")
        assert (await rig.sentence(cursor="page2")).startswith("cursor: expected the one that the previous answer")
        assert (await rig.sentence(cursor=7)).startswith("Invalid arguments: cursor: 7 is not of type")
        assert (await rig.sentence(cursor="a" * 100)).startswith("Invalid arguments: cursor: ")


async def test_the_cursor_of_another_principal(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Where answers are private, a cursor is good only for whom it was given."""
    text = LIST.replace('"s"', '"own"') + '[strategies.own]\nttl = "1m"\nscope = "private"\n'
    async with open_rig(tmp_path, text, api=listing()) as rig:
        first = partial(rig.catalogue.call, "t", caller="a")
        cursor = next_of(await first({}))
        assert not (await first({"cursor": cursor})).is_error
        other = await rig.catalogue.call("t", {"cursor": cursor}, caller="b")
        assert text_of(other).startswith("cursor: it belongs to another call.")


async def test_a_stale_whole_gives_its_parts(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """While the upstream fails, every part still comes from the old answer."""
    async with open_rig(tmp_path, LIST, api=listing()) as rig:
        cursor = next_of(await rig.call())
        await trio.sleep(500)
        rig.api.documents["a.json"] = UpstreamUnavailable("api", "no answer")
        result = await rig.call(cursor=cursor)
        assert orjson.loads(result.payload)["_meta"]["gateway/cache"]["status"] == "stale"


async def test_a_text_made_of_an_array(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The text of a part is made of that part's elements, and fits as well as its structured content."""
    text = LIST + 'text = "# {about}\\n{things}"\neach.things = "- {name} {name} {name} {about} {about}"\n'
    async with open_rig(tmp_path, text, api=listing()) as rig:
        parts = await parts_of(rig)
        lines = [line for part in parts for line in part["content"][0]["text"].splitlines() if line.startswith("- ")]
        assert len(lines) == 200
        assert all(sum(len(content["text"]) for content in part["content"]) <= 2000 for part in parts)
        assert parts[1]["content"][0]["text"].startswith("# x\n- thing ")


async def test_an_array_within(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """`pages_of` leads to an array at any depth; what stands beside it is in every part."""
    text = LIST.partition("[tools.t.output]")[0] + (
        '[tools.t.result]\nselect = "{ a: { about: about, b: things } }"\nmax_output = "2KB"\npages_of = ["a.b"]\n'
    )
    async with open_rig(tmp_path, text, api=listing()) as rig:
        parts = await parts_of(rig)
        assert sum(len(part["structuredContent"]["a"]["b"]) for part in parts) == 200
        assert {part["structuredContent"]["a"]["about"] for part in parts} == {"x"}


async def test_several_arrays(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """All arrays that the output declares are shared out, one after the other; none is lost or told twice."""
    text = LIST.replace("[tools.t.result]", 'more = { type = "array" }\n[tools.t.result]').replace(
        "[tools.t.result]", '[tools.t.result]\nselect = "{ about: about, things: things, more: things[].name }"'
    )
    async with open_rig(tmp_path, text, api=listing()) as rig:
        parts = [part["structuredContent"] for part in await parts_of(rig)]
        names = [f"thing {number}" for number in range(200)]
        assert [thing["name"] for part in parts for thing in part["things"]] == names
        assert [name for part in parts for name in part["more"]] == names
        assert any(part["things"] and part["more"] for part in parts)


async def test_what_cannot_be_cut(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A long answer without the declared array, or with too much beside it, is an error that names the key."""
    api = FakeUpstream(documents={"a.json": things(200, about="x" * 1500), "b.json": orjson.dumps({"c": "x" * 3000})})
    async with open_rig(tmp_path, LIST, api=api) as rig:
        assert await rig.sentence() == (
            "t: the answer is larger than result.max_output (2KB) and what stands beside things takes more than half "
            "of that"
        )
    text = LIST.partition("[tools.t.output]")[0] + '[tools.t.result]\nmax_output = "2KB"\npages_of = ["things"]\n'
    async with open_rig(tmp_path, text, api=api) as rig:
        assert (await rig.sentence(name="b")).endswith("and there is no array at things")
    async with open_rig(tmp_path, PAGE.replace('"text",', '"@",', 1), api=api) as rig:
        assert (await rig.sentence(name="b")).endswith("and it is no text")


async def test_an_element_that_is_too_large(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """An element is never cut: a part of its own has it."""
    large = orjson.dumps({"about": "", "things": [{"a": 1}, {"a": "x" * 5000}, {"a": 2}]})
    async with open_rig(tmp_path, LIST, api=FakeUpstream(documents={"a.json": large})) as rig:
        parts = await parts_of(rig)
        assert [len(part["structuredContent"]["things"]) for part in parts] == [1, 1, 1]


async def test_a_part_has_to_be_as_declared(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A schema that only the whole satisfies is found out before anything is kept."""
    text = LIST.replace('type = "array",', 'type = "array", minItems = 50,')
    async with open_rig(tmp_path, text, api=listing()) as rig:
        assert (await rig.sentence()).startswith("t: the answer is not what tools.t.output declares: things: ")


@pytest.mark.parametrize("text", [LIST, PAGE])
async def test_a_default_for_all(autojump_clock: trio.testing.MockClock, tmp_path: Path, text: str) -> None:
    """`server.max_output` holds for tools that say nothing themselves and can be cut."""
    text = text.replace(', max_output = "2KB"', "").replace('max_output = "2KB"', "")
    api = prose() if "text" in text else listing()
    async with open_rig(tmp_path, '[server]\nmax_output = "2KB"\n' + text, api=api) as rig:
        assert len(await parts_of(rig)) > 2
    text = text.replace('format = "text"', 'format = "json"').replace('"array"', '["array", "null"]')
    async with open_rig(tmp_path, '[server]\nmax_output = "2KB"\n' + text, api=api) as rig:
        assert len(await parts_of(rig)) == 1


async def test_large_documents_are_read_beside_the_loop(tmp_path: Path) -> None:
    """A document that takes long is made into an answer in a thread, with the same result."""
    text = LIST.partition("[tools.t.output]")[0].replace("{name}.json", "a.json") + (
        '[tools.t.result]\nselect = "sections(@)[0].title"\n'
    )
    page = b"# Title\n" + b"## more\n\nwords\n" * 2000
    async with open_rig(
        tmp_path, text, api=FakeUpstream(documents={"a.json": page}, media_type="text/markdown")
    ) as rig:
        assert await rig.value() == {"result": "Title"}
