from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.catalogue.documents import Reading, parsed
from gateway.errors import UpstreamInvalid, UpstreamUnavailable
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Entry, Policy
from gateway.upstream.model import Fetched, Validators, Wanted
from tests.catalogue.rig import open_rig
from tests.fakes.upstream import FakeUpstream

TOOL = """
[tools.t]
description = "d"
strategy = "s"
input.properties = { name = { type = "string" }, q = { type = "string", default = "" } }
[tools.t.fetch]
upstream = "api"
path = "things/{name}.json"
"""
QUERY = TOOL + 'query = { q = "{q}" }\nheaders = { Accept-Language = "{q}" }\n'


async def test_a_document_is_shared_by_tools(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Two tools that read one document fetch it once."""
    other = TOOL.replace("tools.t", "tools.other")
    async with open_rig(tmp_path, TOOL + other) as rig:
        rig.api.documents["things/a.json"] = b'{"a":1}'
        assert await rig.value("t", name="a") == await rig.value("other", name="a") == {"a": 1}
        assert rig.api.times("things/a.json") == 1


async def test_many_callers_at_once(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Five hundred callers of one thing cause one fetch, and a caller that goes away fails nobody."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(delay=1)) as rig:
        rig.api.documents["things/a.json"] = b'{"a":1}'
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await rig.value(name="a"))

        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()

            async def ask_and_leave() -> None:
                with first:
                    await ask()

            nursery.start_soon(ask_and_leave)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(499):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.1)
            first.cancel()
        assert answers == [{"a": 1}] * 499
        assert rig.api.times("things/a.json") == 1


async def test_values_stand_in_their_place(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Arguments reach path, query and headers as single values."""
    async with open_rig(tmp_path, QUERY) as rig:
        await rig.call(name="../x", q="y&admin=1#z")
        (wanted,) = rig.api.asked
        assert wanted.path == "things/..%2Fx.json"
        assert wanted.query == (("q", "y&admin=1#z"),)
        assert wanted.headers == (("Accept-Language", "y&admin=1#z"),)


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\0"])
async def test_a_header_with_a_line_break_is_refused(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, value: str
) -> None:
    """A value that would end a header is the caller's fault, and no upstream is asked."""
    async with open_rig(tmp_path, QUERY) as rig:
        assert (await rig.sentence(name="a", q=value)).startswith("q: expected one line")
        assert rig.api.asked == []


async def test_other_questions_are_other_documents(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """No two sets of values share a document, however they imitate each other's syntax."""
    text = TOOL + 'query = { a = "{name}", b = "{q}" }\n'
    async with open_rig(
        tmp_path, text.replace("things/{name}.json", "things"), api=FakeUpstream(otherwise=b"{}")
    ) as rig:
        await rig.value(name="1&b=2", q="3")
        await rig.value(name="1", q="2&b=3")
        assert len(rig.api.asked) == 2


async def test_a_stale_document_is_asked_for_with_its_validators(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A refresh is conditional, and a 304 makes the old bytes fresh again, with their validators."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(etag='"1"')) as rig:
        rig.api.documents["things/a.json"] = b'{"a":1}'
        for _ in range(3):
            assert await rig.value(name="a") == {"a": 1}
            assert await rig.status(name="a") == ("hit", "memory")
            await trio.sleep(200)
        assert rig.api.conditions == [None, Validators('"1"'), Validators('"1"')]


async def test_companions_are_kept(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """What came along in a download is there for whoever asks for it."""
    api = FakeUpstream(companions={Wanted("things/b.json"): b'{"b":1}'})
    async with open_rig(tmp_path, TOOL, api=api) as rig:
        rig.api.documents["things/a.json"] = b'{"a":1}'
        await rig.value(name="a")
        assert await rig.value(name="b") == {"b": 1}
        assert rig.api.times("things/b.json") == 0


async def test_an_upstream_of_another_identity(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """When an upstream's address changes, the documents of the old one are not served."""
    async with open_rig(tmp_path, TOOL, api=FakeUpstream(documents={"things/a.json": b'{"v":1}'})) as first:
        await first.value(name="a")
        await trio.testing.wait_all_tasks_blocked()
        kept = dict(first.disk.entries)
    api = FakeUpstream(identity="2", documents={"things/a.json": b'{"v":2}'})
    async with open_rig(tmp_path, TOOL, api=api) as second:
        second.disk.entries.update(kept)
        assert await second.value(name="a") == {"v": 2}


async def test_a_broken_document(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A document that is not what its type says is the upstream's fault, in a sentence."""
    async with open_rig(tmp_path, TOOL) as rig:
        rig.api.documents["things/a.json"] = b"{"
        assert "api: a document of type application/json does not parse" in await rig.sentence(name="a")


@pytest.mark.parametrize("media_type", ["application/json", "application/ld+json", "text/json"])
def test_json(media_type: str) -> None:
    """Every type that means JSON is parsed."""
    entry = new_entry(b'{"a":1}', Policy("s", 1), 0, media_type=media_type)
    assert parsed("api", entry) == {"a": 1}


def test_text() -> None:
    """Other text is one string, and what is no text is refused."""
    assert parsed("api", new_entry(b'{"a"', Policy("s", 1), 0, media_type="text/markdown")) == '{"a"'
    with pytest.raises(UpstreamInvalid, match="api: a document of type image/png does not parse"):
        parsed("api", new_entry(b"\x89PNG", Policy("s", 1), 0, media_type="image/png"))


async def test_an_upstream_that_fails(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """With nothing kept, a failure is the upstream's sentence, and the next call asks again."""
    async with open_rig(tmp_path, TOOL) as rig:
        rig.api.documents["things/a.json"] = UpstreamUnavailable("api", "no answer")
        assert await rig.sentence(name="a") == "api: no answer"
        rig.api.documents["things/a.json"] = b'{"a":1}'
        assert await rig.value(name="a") == {"a": 1}


async def test_a_document_made_of_others(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Has their tags, is no fresher than those of them that can change, and is kept only where it says so."""
    age, made = Entry(b"", -30.0, 50.0, tags=("upstream:other",)), Entry(b"", 0.0, 1e9, tags=("x",), immutable=True)

    @dataclass
    class Derived(FakeUpstream):
        keep: bool = True

        async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
            fetched = await super().fetch(wanted, validators)
            return replace(fetched, sources=(age, made), keep=self.keep)

    api = Derived(otherwise=b"1")
    async with open_rig(tmp_path, "", api=api) as rig:
        documents = rig.catalogue.documents
        entry = await documents.get("api", Wanted("a"), Reading(Policy("s", ttl=100.0)))
        assert (entry.stored_at, entry.fresh_until) == (-30.0, 50.0)
        assert entry.tags == ("upstream:api", "upstream:other", "x")
        assert entry.media_type == "application/json"
        await documents.get("api", Wanted("a"), Reading(Policy("s", ttl=100.0)))
        assert api.times("a") == 1
        api.keep = False
        for _ in range(2):
            await documents.get("api", Wanted("b"), Reading(Policy("s", ttl=100.0)))
        assert api.times("b") == 2
