from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from gateway.catalogue.documents import Reading
from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.pipeline.invalidation import Selector
from gateway.upstream.model import Wanted
from tests.upstream.search.rig import PAGES, POLICY, Rig, docs, open_rig

LISTED = {"documents": [{"path": "{name}.md"}], "listing": {"path": "list", "select": "files"}}


async def until(rig: Rig, titles: list[str], q: str, **more: str) -> None:
    with trio.fail_after(1000):
        while await rig.titles(q, **more) != titles:  # a rebuild in the background tells nobody
            await trio.testing.wait_all_tasks_blocked()


async def test_an_answer() -> None:
    """A page a hit, with its fields, its best section and what was found in it."""
    async with open_rig() as rig:
        answer = await rig.answer("nobody can press a button")
        score = answer["hits"][0].pop("score")
        assert score > 0
        assert answer == {
            "total": 1,
            "problem": None,
            "hits": [
                {
                    "name": "button",
                    "url": "/button",
                    "title": "Button",
                    "section": "Disabled",
                    "path": "button.md",
                    "snippet": "**Nobody** can **press** it.",
                }
            ],
        }


async def test_what_is_asked_for() -> None:
    """A part of the hits, or those with a field's value; an empty value is none."""
    async with open_rig({"max_hits": 1, "highlight": ["<b>", "</b>"]}) as rig:
        assert await rig.titles("press type", limit="100") == ["Input"]
        assert await rig.titles("press type", offset="1") == ["Button"]
        assert await rig.titles("press type", name="input") == ["Input"]
        assert await rig.titles("press type", name="", url="/nothing") == []
        assert (await rig.answer("type"))["hits"][0]["snippet"] == "<b>Type</b> into it."
        assert await rig.answer('"') == {
            "total": 0,
            "problem": 'a " was never closed; there is no word to look for',
            "hits": [],
        }


async def test_nothing_in_particular() -> None:
    """A blank query lists every page in the order of paths, with its beginning; fields and limits hold."""
    async with open_rig() as rig:
        answer = await rig.answer(" ")
        assert [hit["path"] for hit in answer["hits"]] == sorted(hit["path"] for hit in answer["hits"])
        assert answer["total"] == len(answer["hits"]) > 1
        assert answer["problem"] is None
        assert await rig.titles("", name="input") == ["Input"]
        assert await rig.titles("", limit="1", offset="1") == [answer["hits"][1]["title"]]


async def test_who_asks_for_something_else_is_refused() -> None:
    """A path, headers, a limit that is no number: the profile's check keeps them away already."""
    async with open_rig() as rig:
        for wanted in (
            Wanted("button.md"),
            Wanted("", headers=(("a", "b"),)),
            Wanted("", query=(("q", "a"), ("limit", "many"))),
        ):
            with pytest.raises(UpstreamRejected):
                await rig.search.fetch(wanted)


async def test_many_callers_wait_for_one_build() -> None:
    """Each document is read once, however many ask at the same time."""
    async with open_rig(is_open=False) as rig:
        found: list[list[str]] = []

        async def ask(q: str) -> None:
            found.append(await rig.titles(q))

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, f"press {number}")
            await trio.testing.wait_all_tasks_blocked()
            rig.api.gate.set()
        assert found == [["Button"]] * 20
        assert rig.api.times_asked() == {"button.md": 1, "input.md": 1}


async def test_who_goes_away_does_not_end_the_build() -> None:
    """The next one finds it begun."""
    async with open_rig(is_open=False) as rig:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.titles, "press")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        rig.api.gate.set()
        assert await rig.titles("press") == ["Button"]
        assert rig.api.times_asked() == {"button.md": 1, "input.md": 1}


async def test_nobody_waits_for_ever(mock_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    """Who has waited long enough is told how far it is; the index is there for those who come later."""
    async with open_rig(is_open=False) as rig:
        said: list[str] = []

        async def ask() -> None:
            with pytest.raises(UpstreamUnavailable) as raised:
                await rig.titles("press")
            said.append(raised.value.message)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(31)
        await trio.testing.wait_all_tasks_blocked()
        assert said == [
            "its index is being built (0 of 2 documents read), which takes longer than 30s "
            "(upstreams.docs-search.patience); ask again soon"
        ]
        rig.api.gate.set()
        assert await rig.titles("press") == ["Button"]


async def test_a_build_that_takes_too_long(mock_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    """Is given up, and says what limits it."""
    async with open_rig({"build_timeout": "20s"}, is_open=False) as rig:
        said: list[str] = []

        async def ask() -> None:
            with pytest.raises(UpstreamUnavailable) as raised:
                await rig.titles("press")
            said.append(raised.value.message)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(21)
        await trio.testing.wait_all_tasks_blocked()
        assert said == [
            "its index could not be built within 20s (upstreams.docs-search.build_timeout): 0 of 2 documents read"
        ]


async def test_a_stale_index_is_served_while_it_is_built_anew(mock_clock: trio.testing.MockClock) -> None:
    """As the strategy has it; what changed is found once that is done, and what did not change is not built."""
    async with open_rig() as rig:
        assert await rig.titles("press") == ["Button"]
        rig.api.documents |= docs(button="# Button\n\nTouch it.")
        rig.api.gate = trio.Event()
        mock_clock.jump(120)
        assert await rig.titles("press") == ["Button"]
        rig.api.gate.set()
        await until(rig, [], "press")
        assert await rig.titles("touch") == ["Button"]
        entry = await rig.entry("touch")
        assert entry.fresh_until - entry.stored_at == 100


async def test_a_purge_is_seen_at_once() -> None:
    """Of the searched upstream: the tags of all documents are the index's."""
    async with open_rig() as rig:
        entry = await rig.entry("press")
        assert {"upstream:api", "upstream:docs-search"} <= set(entry.tags)
        rig.api.documents |= docs(button="# Button\n\nTouch it.")
        assert await rig.titles("press") == ["Button"]
        await rig.pipeline.purge(Selector("tag", "upstream:api"))
        assert await rig.titles("press") == []
        rig.api.documents |= docs(button="# Button\n\nHit it.")
        await rig.pipeline.purge(Selector("tag", "upstream:api"), soft=True)
        assert await rig.titles("touch") == []


@pytest.mark.parametrize("given_up", [False, True])
async def test_a_build_from_before_a_purge_that_ends_last(*, given_up: bool) -> None:
    """It does not take the place of the one from after it, nor where that index was given up for another release's."""
    async with open_rig({"max_releases": 1}) as rig, trio.open_nursery() as nursery:
        way = rig.api.way = trio.Event()
        nursery.start_soon(rig.titles, "press")
        await trio.testing.wait_all_tasks_blocked()
        rig.api.way = None
        rig.api.documents = dict.fromkeys(("button.md", "button.md@2"), b"# Button\n\nTouch it.")
        await rig.pipeline.purge(Selector("tag", "upstream:api"))
        assert await rig.titles("touch") == ["Button"]
        if given_up:
            assert await rig.titles("touch", version="2") == ["Button"]
        async with trio.open_nursery() as waiting:
            waiting.start_soon(rig.pipeline.wait_landed)
            way.set()
        assert await rig.titles("touch") == ["Button"]
        assert await rig.titles("press") == []


async def test_an_answer_is_not_kept_twice() -> None:
    """Queries are many, and each takes a millisecond: only what a tool makes of them is worth its room."""
    async with open_rig() as rig:
        await rig.titles("press")
        assert rig.pipeline.memory is not None
        keys = [rig.pipeline.memory.peek(f"document:docs-search@{rig.search.identity}:{name}") for name in ("#index",)]
        assert None not in keys
        first, second = await rig.entry("press"), await rig.entry("press")
        assert first is not second


async def test_each_release_has_an_index(tmp_path: Path) -> None:
    """Found by the searched upstream's list; so many are kept, each in a file where there is a folder."""
    pages = {f"{name}@{version}": body for name, body in PAGES.items() for version in ("2.0.0", "1.1.0", "1.0.0")}
    pages["button.md@1.0.0"] = b"# Old button\n\nPress it."
    async with open_rig({"max_releases": 2, "path": str(tmp_path / "indexes")}, documents=pages) as rig:
        release = await rig.documents.resolve("docs-search", "1", Reading(POLICY))
        assert release.name == "1.1.0"
        assert release.listing is not None
        assert {"floating:api", "floating:docs-search", "upstream:api"} <= set(release.listing.tags)
        assert await rig.titles("press", version="1.0.0") == ["Old button"]
        assert await rig.titles("press", version="1.1.0") == ["Button"]
        assert await rig.titles("press", version="2.0.0") == ["Button"]
        assert _count(tmp_path / "indexes") == 2
        assert await rig.titles("press", version="1.0.0") == ["Old button"]
        assert rig.api.times("button.md@1.0.0") == 1


def _count(folder: Path) -> int:
    return len(list(folder.iterdir()))


def _spoil(folder: Path) -> None:
    (path,) = folder.iterdir()
    with path.open("r+b") as file:
        size = len(file.read())
        file.seek(0)
        file.write(b"\xa5" * size)


async def test_a_file_that_is_damaged_meanwhile(tmp_path: Path) -> None:
    """Is thrown away, and the query answered from a new one."""
    many = {f"p{number}.md": f"# Page {number}\n\n{'word ' * 50} w{number}".encode() for number in range(300)}
    table = {"path": str(tmp_path), "documents": [{"path": "{n}.md", "each": {"n": [f"p{n}" for n in range(300)]}}]}
    async with open_rig(table, documents=many) as rig:
        assert await rig.titles("w7") == ["Page 7"]
        _spoil(tmp_path)
        assert await rig.titles("w250") == ["Page 250"]
        assert await rig.titles("w8") == ["Page 8"]


async def test_an_index_in_memory_that_is_given_up() -> None:
    """Is built again when it is asked for."""
    pages = {f"{name}@{version}": body for name, body in PAGES.items() for version in ("2.0.0", "1.0.0")}
    async with open_rig({"max_releases": 1}, documents=pages) as rig:
        for version in ("1.0.0", "2.0.0", "1.0.0"):
            assert await rig.titles("press", version=version) == ["Button"]


@pytest.mark.parametrize(
    ("table", "documents", "kind", "message"),
    [
        ({}, {}, UpstreamNotFound, "there are no documents of it to search in"),
        (
            {},
            {**PAGES, "input.md": UpstreamUnavailable("api", "it is down")},
            UpstreamUnavailable,
            "it is down",
        ),
        (
            {"max_documents": 1},
            PAGES,
            UpstreamInvalid,
            "there are 2 documents, which is more than 1 (upstreams.docs-search.max_documents)",
        ),
        (
            {"max_total_size": "60B"},
            PAGES,
            UpstreamInvalid,
            "its documents are larger than 60B (upstreams.docs-search.max_total_size) together",
        ),
        (
            LISTED,
            {**PAGES, "list": b'{"files": "none"}'},
            UpstreamInvalid,
            "the list of documents has no array of paths where upstreams.docs-search.listing.select looks for it",
        ),
        (
            LISTED,
            {**PAGES, "list": b"{"},
            UpstreamInvalid,
            "the list of documents can't be read: unexpected end of data: line 1 column 2 (char 1)",
        ),
    ],
)
async def test_documents_that_can_not_be_searched(
    table: dict[str, Any], documents: dict[str, Any], kind: type[UpstreamError], message: str
) -> None:
    """Says what is wrong, and which key has the limit."""
    async with open_rig(table, documents=documents) as rig:
        with pytest.raises(kind) as raised:
            await rig.titles("press")
        assert raised.value.message == message


async def test_a_document_that_is_listed_and_not_there() -> None:
    """Is left out, and so is what is no text."""
    listing = orjson.dumps({"files": ["button.md", "gone.md", "input.md"]})
    async with open_rig(LISTED, documents={**PAGES, "list": listing}) as rig:
        assert await rig.titles("press type") == ["Input", "Button"]
    async with open_rig(documents=PAGES) as rig:
        rig.api.media_type = "image/png"
        with pytest.raises(UpstreamNotFound, match="there are no documents of it to search in"):
            await rig.titles("press")


async def test_stop_words_and_weights() -> None:
    """What the profile says of words, and of where they stand."""
    pages = docs(button="# Button\n\ninput input", input="# Input\n\nbutton")
    async with open_rig(documents=pages) as rig:
        assert await rig.titles("input") == ["Input", "Button"]
    table = {"stop_words": ["button"], "weights": {"name": 0.01, "title": 0.01, "body": 100.0}}
    async with open_rig(table, documents=pages) as rig:
        assert await rig.titles("button input") == ["Button", "Input"]
