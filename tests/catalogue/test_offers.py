from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from gateway.catalogue.completion import ranked
from gateway.catalogue.federated import Asking
from gateway.errors import ToolError, UnknownPrompt, UnknownResource, UpstreamUnavailable
from tests.catalogue.rig import Rig, open_rig
from tests.fakes.upstream import FakeUpstream

LIBRARY = """
[tools.list_books]
description = "d"
strategy = "s"
fetch = { upstream = "api", path = "books.json" }
[tools.list_books.output.properties]
books = { type = "array" }
[tools.list_books.result]
max_output = "1KB"
[tools.get_book]
description = "d"
strategy = "s"
input.properties = { name = { type = "string" }, language = { type = "string", default = "en" } }
fetch = { upstream = "api", path = "{language}/{name}" }
result = { select = "text", format = "text", missing = "There is no book {name}." }
[resources.books]
uri = "library://books"
title = "All books"
description = "Their names"
tool = "list_books"
[resources.book]
uri = "library://books/{name}"
mime_type = "text/markdown"
tool = "get_book"
complete.name = { tool = "list_books", select = "books[].name" }
[resources.translated]
uri = "library://books/{name}/{lang}"
tool = "get_book"
arguments = { language = "{lang}" }
complete.lang = { values = ["en", "zh", "zh-TW"] }
[prompts.discuss]
title = "Discuss a book"
description = "With the book at hand"
arguments.name.title = "Book"
arguments.name.description = "its name"
arguments.name.required = true
arguments.name.complete = { tool = "list_books", select = "books[].name" }
arguments.question = { default = "What is it about?" }
arguments.other = {}
[[prompts.discuss.messages]]
text = "{question} It is called {name}."
[[prompts.discuss.messages]]
resource = "library://books/{name}"
[[prompts.discuss.messages]]
when = "other"
role = "assistant"
text = "And of {other}?"
"""
NAMES = [f"volume-{number:03}" for number in range(120)]
NOBODY = Asking()


def library(**more: Any) -> FakeUpstream:
    books = ",".join(f'{{"name":"{name}"}}' for name in ["a/b", "Æ", *NAMES])
    return FakeUpstream(
        documents={
            "books.json": b'{"books":[%b]}' % books.encode(),
            "en/a%2Fb": b'{"text":"# A or B"}',
            "zh/%C3%86": b'{"text":"\xe4\xb9\xa6"}',
            **more,
        }
    )


def content(result: Mapping[str, Any]) -> Mapping[str, Any]:
    (one,) = result["contents"]
    assert isinstance(one, Mapping)
    return one


async def test_reading(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A resource is its tool's answer: the same entry of the cache, for as long as that holds, and where it is from."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        result = await rig.catalogue.read("library://books/a%2Fb", NOBODY)
        assert content(result) == {
            "uri": "library://books/a%2Fb",
            "mimeType": "text/markdown",
            "text": "# A or B",
        }
        assert (result["ttlMs"], result["cacheScope"]) == (100_000, "public")
        assert result["_meta"]["gateway/cache"]["status"] == "miss"
        await trio.sleep(30)
        again = await rig.catalogue.read("library://books/a%2Fb", NOBODY)
        assert (again["ttlMs"], again["_meta"]["gateway/cache"]["tier"]) == (70_000, "memory")
        assert await rig.status("get_book", name="a/b") == ("hit", "memory")
        translated = await rig.catalogue.read("library://books/%C3%86/zh", NOBODY)
        assert (content(translated)["mimeType"], content(translated)["text"]) == ("text/plain", "书")


async def test_a_long_resource(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """JSON is the first part of the tool's answer, and says how to go on."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        read = content(await rig.catalogue.read("library://books", NOBODY))
        assert read["mimeType"] == "application/json"
        assert '"nextCursor"' in read["text"]
        assert len(read["text"]) <= 1000


async def test_a_long_text(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Its first part says with which call of the tool it goes on, since its reader has made none."""
    text = LIBRARY.replace(
        'result = { select = "text", format = "text",',
        'result = { max_output = "1KB", select = "text", format = "text",',
    )
    long = b'{"text":"%b"}' % (b"A line of a long book.\\n" * 200)
    async with open_rig(tmp_path, text, api=library(**{"en/long": long})) as rig:
        read = content(await rig.catalogue.read("library://books/long", NOBODY))["text"]
        asked = json.loads(read.partition("There is more: call get_book with ")[2].rstrip("."))
        assert (await rig.call("get_book", **asked)).message is None
        assert asked["name"] == "long"


@pytest.mark.parametrize(
    "uri",
    [
        "library://book",
        "library://books/",
        "library://books/a/b/c",
        "library://books/a?x=1",
        "library://books/a#x",
        "LIBRARY://books",
        "library://books/" + "a" * 5000,
        "",
        "/",
        "file:///etc/passwd",
    ],
)
async def test_what_there_is_not(autojump_clock: trio.testing.MockClock, tmp_path: Path, uri: str) -> None:
    """Another URI is unknown, whatever it holds, and nothing is asked for it."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        with pytest.raises(UnknownResource):
            await rig.catalogue.read(uri, NOBODY)
        assert rig.api.asked == []


@pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "..%2F..%2Fadmin", "%00", "%0d%0a"])
async def test_a_name_that_leads_elsewhere(autojump_clock: trio.testing.MockClock, tmp_path: Path, name: str) -> None:
    """A field is one value, however it is spelled: it is refused, or is one segment of the upstream's path."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        with pytest.raises(ToolError):
            await rig.catalogue.read(f"library://books/{name}", NOBODY)
        assert all(wanted.path == "en/..%2F..%2Fadmin" for wanted in rig.api.asked)


async def test_a_resource_that_can_not_be_made(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """What the tool has to say about it is said; an upstream that fails is another error."""
    down = {"en/down": UpstreamUnavailable("api", "down")}
    async with open_rig(tmp_path, LIBRARY, api=library(**down)) as rig:
        with pytest.raises(ToolError, match=r"^There is no book z\.$"):
            await rig.catalogue.read("library://books/z", NOBODY)
        with pytest.raises(UpstreamUnavailable):
            await rig.catalogue.read("library://books/down", NOBODY)


async def test_private_resources(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Of a private strategy each caller has their own, and clients are told."""
    private = "[strategies.p]\nttl = '1m'\nscope = 'private'\n" + LIBRARY.replace('strategy = "s"', 'strategy = "p"')
    async with open_rig(tmp_path, private, api=library()) as rig:
        assert (await rig.catalogue.read("library://books/a%2Fb", Asking("one")))["cacheScope"] == "private"
        other = await rig.catalogue.read("library://books/a%2Fb", Asking("two"))
        assert other["_meta"]["gateway/cache"]["status"] == "miss"


async def test_lists(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Resources, templates and prompts are listed as MCP has them, in the order of the profile."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        catalogue = rig.catalogue
        assert catalogue.offers("resources")
        assert catalogue.offers("prompts")
        assert catalogue.listing("resources").definitions == (
            {
                "uri": "library://books",
                "name": "books",
                "title": "All books",
                "description": "Their names",
                "mimeType": "application/json",
            },
        )
        assert [each["uriTemplate"] for each in catalogue.listing("templates").definitions] == [
            "library://books/{name}",
            "library://books/{name}/{lang}",
        ]
        (prompt,) = catalogue.listing("prompts").definitions
        assert prompt == {
            "name": "discuss",
            "title": "Discuss a book",
            "description": "With the book at hand",
            "arguments": [
                {"name": "name", "required": True, "title": "Book", "description": "its name"},
                {"name": "question", "required": False},
                {"name": "other", "required": False},
            ],
        }


async def test_a_prompt(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Arguments stand in texts as they are, resources are embedded, and `when` leaves a message out."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        assert await rig.catalogue.prompt("discuss", {"name": "a/b"}, NOBODY) == {
            "description": "With the book at hand",
            "messages": [
                {"role": "user", "content": {"type": "text", "text": "What is it about? It is called a/b."}},
                {
                    "role": "user",
                    "content": {
                        "type": "resource",
                        "resource": {
                            "uri": "library://books/a%2Fb",
                            "mimeType": "text/markdown",
                            "text": "# A or B",
                        },
                    },
                },
            ],
        }
        more = await rig.catalogue.prompt("discuss", {"name": "a/b", "other": "{name}", "question": ""}, NOBODY)
        assert more["messages"][2] == {"role": "assistant", "content": {"type": "text", "text": "And of {name}?"}}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "The prompt discuss needs name."),
        ({"name": ""}, "The prompt discuss needs name."),
        ({"nam": "x"}, 'The prompt discuss takes name, question or other, not "nam". Did you mean name?'),
        ({"name": "x" * 30_000}, "name: expected a text of at most 20000 characters"),
        ({"name": 5}, "name: expected a text of at most 20000 characters"),
        ({"name": "z"}, "There is no book z."),
    ],
)
async def test_wrong_arguments(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, given: dict[str, Any], sentence: str
) -> None:
    """Are told, and so is a resource that there is not."""
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        with pytest.raises(ToolError) as raised:
            await rig.catalogue.prompt("discuss", given, NOBODY)
        assert str(raised.value) == sentence
        with pytest.raises(UnknownPrompt):
            await rig.catalogue.prompt("disuss", {}, NOBODY)


async def completions(rig: Rig, ref: dict[str, str], name: str, value: str) -> Mapping[str, Any]:
    result = await rig.catalogue.complete(ref, {"argument": {"name": name, "value": value}}, NOBODY)
    completion = result["completion"]
    assert isinstance(completion, Mapping)
    return completion


async def test_completion(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Values of the profile or of all parts of a tool's answer; what begins so comes first, at most a hundred."""
    book, prompt = {"type": "ref/resource", "uri": "library://books/{name}"}, {"type": "ref/prompt", "name": "discuss"}
    translated = {"type": "ref/resource", "uri": "library://books/{name}/{lang}"}
    async with open_rig(tmp_path, LIBRARY, api=library()) as rig:
        every = await completions(rig, book, "name", "")
        assert (every["values"], every["total"], every["hasMore"]) == (["a/b", "Æ", *NAMES[:98]], 122, True)
        assert (await completions(rig, prompt, "name", "ME-11"))["values"] == NAMES[110:]
        assert (await completions(rig, prompt, "question", ""))["values"] == []
        assert (await completions(rig, translated, "lang", "Z"))["values"] == ["zh", "zh-TW"]
        with pytest.raises(UnknownPrompt):
            await completions(rig, {"type": "ref/prompt", "name": "x"}, "name", "")
        with pytest.raises(UnknownResource):
            await completions(rig, {"type": "ref/resource", "uri": "library://books"}, "name", "")


def test_the_order_of_completions() -> None:
    """What begins with the text comes before what only contains it, each once, whatever its case."""
    assert ranked("Tab", ["input", "data-table", "tab", "table", "tab"]) == ["tab", "table", "data-table"]
