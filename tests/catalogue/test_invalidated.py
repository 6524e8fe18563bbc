"""What a tool changes is read anew: neither its answer nor the documents below it are served from before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.catalogue import invalidated
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.invalidated import Invalidated
from tests.catalogue.rig import Rig, meta_of, open_rig
from tests.fakes.upstream import FakeUpstream, spelled

TOOLS = """
[strategies.mine]
ttl = "100s"
negative = { not_found = "100s" }
[tools.t]
description = "A thing."
strategy = "mine"
tags = ["thing:{name}"]
[tools.t.input.properties]
name = { type = "string" }
[tools.t.fetch]
upstream = "api"
path = "things/{name}.json"
[tools.other]
description = "A thing that nobody changes."
strategy = "mine"
[tools.other.input.properties]
name = { type = "string" }
[tools.other.fetch]
upstream = "api"
path = "things/{name}.json"
[tools.change]
description = "Changes a thing."
strategy = "mine"
annotations = { read_only = false }
invalidates = ["thing:{name}", "list:{name}"]
[tools.change.input.properties]
name = { type = "string" }
[tools.change.fetch]
upstream = "api"
path = "changes/{name}"
"""


def things(delay: float = 0.0) -> FakeUpstream:
    return FakeUpstream(documents={"things/a.json": b'{"a":1}', "changes/a": b"{}", "changes/b": b"{}"}, delay=delay)


async def change(rig: Rig, name: str = "a", to: bytes = b'{"a":2}') -> None:
    """The upstream has it when it answers, as one that stores things does."""
    rig.api.documents[f"things/{name}.json"] = to
    await rig.value("change", name=name)


async def test_what_was_changed_is_read_from_the_upstream(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The next answer is not made of the document from before the change, and then it is kept again."""
    async with open_rig(tmp_path, TOOLS, api=things()) as rig:
        assert await rig.value(name="a") == {"a": 1}
        await trio.sleep(1)
        await change(rig)
        await trio.sleep(1)
        assert await rig.value(name="a") == {"a": 2}
        assert await rig.status(name="a") == ("hit", "memory")
        assert [spelled(wanted) for wanted in rig.api.asked].count("changes/a") == 1


async def test_what_was_made_is_found(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """That there was no such thing is not remembered beyond the call that made it."""
    async with open_rig(tmp_path, TOOLS, api=things()) as rig:
        assert "no document" in await rig.sentence(name="b")
        await trio.sleep(1)
        await change(rig, "b", b'{"b":1}')
        await trio.sleep(1)
        assert await rig.value(name="b") == {"b": 1}


async def test_a_document_that_was_on_its_way_is_not_kept(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Asked for before the change, it arrives after it, and looks newer than it is."""
    api = things(delay=1.0)
    async with open_rig(tmp_path, TOOLS, api=api) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(partial(rig.value, "change", name="a"))  # answers after one second
        await trio.sleep(0.5)
        api.delay = 10.0
        nursery.start_soon(partial(rig.value, "other", name="a"))  # and this after ten
        await trio.sleep(20)
        api.documents["things/a.json"] = b'{"a":2}'
        assert await rig.value(name="a") == {"a": 2}


@pytest.mark.parametrize(("tool", "asked"), [("t", 2), ("other", 1)])
async def test_after_a_restart_nothing_is_known_of_changes(
    tool: str, asked: int, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A document from before is read anew for what some tool may have changed, and for nothing else."""
    async with open_rig(tmp_path, TOOLS, api=things()) as rig:
        await rig.value("other" if tool == "t" else "t", name="a")  # of the document that both read
        await trio.sleep(1)
        rig.catalogue = Catalogue(rig.profile, rig.pipeline, {"api": rig.api})
        await trio.sleep(1)
        await rig.value(tool, name="a")
        assert len(rig.api.asked) == asked


async def test_an_answer_outlives_a_restart(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """It would have been purged, durably, by what makes it untrue."""
    async with open_rig(tmp_path, TOOLS, api=things()) as rig:
        await rig.value(name="a")
        await trio.sleep(1)
        rig.catalogue = Catalogue(rig.profile, rig.pipeline, {"api": rig.api})
        assert await rig.status(name="a") == ("hit", "memory")


async def test_a_tag_that_names_the_release(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Which answers have it is known only once the release is: the answer is made again then."""
    text = TOOLS.replace('tags = ["thing:{name}"]', 'tags = ["thing:{name}", "list:{version}"]')
    text = text.replace('things/{name}.json"\n[tools.other]', 'things/{name}.json"\nversion = "latest"\n[tools.other]')
    api = things()
    api.documents["things/a.json@2.0.0"] = b'{"a":1}'
    async with open_rig(tmp_path, text, api=api) as rig:
        await trio.sleep(1)
        assert await rig.value(name="a") == {"a": 1}
        await trio.sleep(1)
        api.documents |= {"things/a.json@2.0.0": b'{"a":2}', "changes/2.0.0": b"{}"}
        await rig.value("change", name="2.0.0")
        await trio.sleep(1)
        assert await rig.value(name="a") == {"a": 2}


async def test_a_caller_that_leaves_leaves_nothing_untrue(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Every tag is purged once the upstream has done it, also of a caller who does not wait for that."""
    text = TOOLS.replace('tags = ["thing:{name}"]', 'tags = ["list:{name}"]')
    async with open_rig(tmp_path, text, api=things()) as rig:
        await rig.value(name="a")
        await trio.sleep(1)
        rig.api.delay = 1.0
        rig.disk.delay = 1.0
        with trio.move_on_after(1.5):
            await change(rig)
        assert meta_of(await rig.call(name="a"))["status"] == "miss"


async def test_what_is_remembered_is_bounded(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more tags than are remembered, none is taken for one that was not invalidated."""
    monkeypatch.setattr(invalidated, "_MOST", 3)
    known = Invalidated(["thing:*"], trio.current_time)
    began = trio.current_time()
    await trio.sleep(1)
    for number in range(4):
        known.record(f"thing:{number}")
    assert known.since(["thing:0"]) == known.since(["thing:3", "tool:t"]) == began + 1
    assert known.since(["tool:t"]) == known.since(()) == float("-inf")


def test_documents_have_their_upstreams_tags_themselves() -> None:
    """A purge of these takes the documents, so that those which are left are from after it."""
    known = Invalidated(["*"], lambda: 7.0)
    known.record("upstream:api")
    assert known.since(["upstream:api", "floating:api"]) == float("-inf")
