from __future__ import annotations

from functools import partial
from pathlib import Path

import orjson
import pytest
import trio
import trio.testing

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.result import PROVENANCE
from gateway.errors import UpstreamInvalid, UpstreamNotFound, UpstreamUnavailable
from gateway.pipeline.directives import Directives
from tests.catalogue.rig import Rig, meta_of, open_rig, profile_of
from tests.fakes.upstream import FakeUpstream

TOOL = """
[tools.t]
description = "A thing."
strategy = "mine"
[tools.t.input.properties]
name = { type = "string" }
[tools.t.fetch]
upstream = "api"
path = "things/{name}.json"
"""
CHANGE = """
[tools.change]
description = "Changes a thing."
strategy = "mine"
annotations = { read_only = false }
invalidates = ["thing:{name}"]
[tools.change.input.properties]
name = { type = "string" }
[tools.change.fetch]
upstream = "api"
path = "changes/{name}"
"""
STRATEGY = '[strategies.mine]\nttl = "100s"\n'


def things() -> FakeUpstream:
    return FakeUpstream(documents={"things/a.json": b'{"a":1}'})


async def ask(rig: Rig, directives: dict[str, object] | None = None, *, caller: str = "") -> tuple[str, str]:
    """The status and tier of a call for the thing `a`."""
    meta = {PROVENANCE: directives} if directives else None
    result = await rig.catalogue.call("t", {"name": "a"}, caller=caller, meta=meta)
    about = orjson.loads(result.payload)["_meta"][PROVENANCE]
    return about["status"], about["tier"]


async def test_not_found_is_asked_for_once_in_its_time(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """With a negative ttl an upstream's 404 is remembered, also in the lower tier, and then asked for again."""
    text = TOOL + STRATEGY + 'negative = { not_found = "30s" }\n'
    async with open_rig(tmp_path, text, api=FakeUpstream()) as rig:
        sentences = {await rig.sentence(name="a") for _ in range(3)}
        assert sentences == {"api: no document things/a.json"}
        assert rig.api.times("things/a.json") == 1
        await trio.sleep(31)
        rig.api.documents["things/a.json"] = b'{"a":1}'
        assert await rig.value(name="a") == {"a": 1}


@pytest.mark.parametrize("error", [UpstreamUnavailable("api", "down"), UpstreamInvalid("api", "garbage")])
async def test_failures_are_remembered(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, error: UpstreamUnavailable | UpstreamInvalid
) -> None:
    """With a negative ttl a failing upstream is left alone for that long, whoever asks."""
    text = TOOL + STRATEGY + 'negative = { upstream_error = "10s", invalid = "10s" }\n'
    async with open_rig(tmp_path, text, api=FakeUpstream(documents={"things/a.json": error})) as rig:
        for _ in range(3):
            assert str(error) in await rig.sentence(name="a")
        assert rig.api.times("things/a.json") == 1
        await trio.sleep(11)
        await rig.sentence(name="a")
        assert rig.api.times("things/a.json") == 2


async def test_without_negative_times_every_call_asks(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """By default no failure is kept."""
    failing = FakeUpstream(documents={"things/a.json": UpstreamNotFound("api", "gone")})
    async with open_rig(tmp_path, TOOL + STRATEGY, api=failing) as rig:
        for _ in range(2):
            await rig.sentence(name="a")
        assert rig.api.times("things/a.json") == 2


async def test_callers_of_a_private_strategy_never_share(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Each caller has answers of their own, one after the other and at the same moment, whatever the upstream says."""
    text = TOOL + STRATEGY + 'scope = "private"\nupstream_freshness = "honour"\n'
    api = things()
    api.delay, api.directives = 1.0, Directives(max_age=1000)
    async with open_rig(tmp_path, text, api=api) as rig:
        async with trio.open_nursery() as callers:
            for caller in ("a", "b", "a", ""):
                callers.start_soon(partial(ask, rig, caller=caller))
        assert rig.api.times("things/a.json") == 3
        assert await ask(rig, caller="b") == ("hit", "memory")
        assert await ask(rig, caller="c") == ("miss", "upstream")


async def test_callers_of_a_public_strategy_share(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Without a private scope it does not matter who asks."""
    async with open_rig(tmp_path, TOOL + STRATEGY, api=things()) as rig:
        await ask(rig, caller="a")
        assert await ask(rig, caller="b") == ("hit", "memory")


@pytest.mark.parametrize(
    ("freshness", "directives", "expected"),
    [
        ("ignore", Directives(max_age=10, no_store=True), 100.0),
        ("cap", Directives(max_age=10), 10.0),
        ("cap", Directives(max_age=1000), 100.0),
        ("honour", Directives(max_age=1000), 1000.0),
    ],
)
async def test_a_result_follows_the_upstreams_word_as_the_strategy_says(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, freshness: str, directives: Directives, expected: float
) -> None:
    """What Cache-Control says reaches the result, ignored, capped or honoured."""
    api = things()
    api.directives = directives
    async with open_rig(tmp_path, f'{TOOL}{STRATEGY}upstream_freshness = "{freshness}"\n', api=api) as rig:
        result = await rig.call(name="a")
        assert orjson.loads(result.payload)["_meta"][PROVENANCE]["expires"] == expected


@pytest.mark.parametrize("directives", [Directives(no_store=True), Directives(private=True)])
async def test_what_must_not_be_stored_is_not(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, directives: Directives
) -> None:
    """no-store, and private for a public strategy: neither document nor result is kept anywhere."""
    api = things()
    api.directives = directives
    async with open_rig(tmp_path, TOOL + STRATEGY + 'upstream_freshness = "honour"\n', api=api) as rig:
        for _ in range(2):
            await rig.value(name="a")
        assert rig.api.times("things/a.json") == 2
        assert (len(rig.memory), rig.disk.entries) == (0, {})


async def test_a_call_may_ask_for_a_fresh_answer(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """no-cache asks the upstream; max-age takes nothing older; both only where the strategy allows it."""
    text = TOOL + STRATEGY + 'stale_while_revalidate = "50s"\ncall_directives = ["no-cache", "max-age"]\n'
    async with open_rig(tmp_path, text, api=things()) as rig:
        await ask(rig)
        await trio.sleep(10)
        assert await ask(rig, {"max-age": 11}) == ("hit", "memory")
        assert await ask(rig, {"max-age": 9}) == ("miss", "upstream")
        assert await ask(rig, {"no-cache": True}) == ("miss", "upstream")
        assert rig.api.times("things/a.json") == 3
        assert await ask(rig) == ("hit", "memory")
        await trio.sleep(120)
        assert await ask(rig) == ("stale", "memory")


async def test_a_call_asks_in_vain_where_the_strategy_does_not_allow_it(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """What is not allowed is ignored, as caches do, so that no caller can wear an upstream out."""
    async with open_rig(tmp_path, TOOL + STRATEGY, api=things()) as rig:
        await ask(rig)
        assert await ask(rig, {"no-cache": True, "max-age": 0}) == ("hit", "memory")


@pytest.mark.parametrize("asked", [{"max-age": -1}, {"max-age": "1m"}, {"max-age": True}, {"no-cache": 1}, {"x": 1}])
async def test_a_directive_that_makes_no_sense_is_told(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, asked: dict[str, object]
) -> None:
    """A wrong directive is the caller's fault, with what was expected."""
    async with open_rig(tmp_path, TOOL + STRATEGY, api=things()) as rig:
        result = await rig.catalogue.call("t", {"name": "a"}, meta={PROVENANCE: asked})
        assert result.message == '_meta["gateway/cache"]: expected {"no-cache": true} or {"max-age": seconds}'


async def test_a_tool_purges_what_it_makes_untrue(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """When a call that changes something succeeds, what it invalidates is gone; when it fails, nothing is."""
    text = TOOL.replace("[tools.t.input", 'tags = ["thing:{name}"]\n[tools.t.input') + STRATEGY + CHANGE
    api = things()
    async with open_rig(tmp_path, text, api=api) as rig:
        await ask(rig)
        await rig.sentence("change", name="a")
        assert await ask(rig) == ("hit", "memory")
        api.documents["changes/a"] = b"{}"
        await rig.value("change", name="a")
        assert (await ask(rig))[0] == "miss"


async def test_a_result_is_usable_no_longer_than_its_document(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """must-revalidate forbids stale answers, also of what was made of it."""
    api = things()
    api.directives = Directives(max_age=10, must_revalidate=True)
    text = TOOL + STRATEGY + 'stale_if_error = "1000s"\nupstream_freshness = "honour"\n'
    async with open_rig(tmp_path, text, api=api) as rig:
        await ask(rig)
        api.documents["things/a.json"] = UpstreamUnavailable("api", "down")
        await trio.sleep(11)
        assert "api: down" in await rig.sentence(name="a")


TWO_STRATEGIES = """
[strategies.heeding]
ttl = "60s"
upstream_freshness = "honour"
[tools.heedless]
description = "A thing."
strategy = "s"
[tools.heedless.fetch]
upstream = "api"
path = "x"
[tools.heeding]
description = "The same thing."
strategy = "heeding"
[tools.heeding.fetch]
upstream = "api"
path = "x"
"""


@pytest.mark.parametrize("directives", [Directives(no_store=True), Directives(max_age=5.0)])
async def test_who_heeds_the_upstreams_word_gets_no_entry_that_was_kept_without_regard_to_it(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, directives: Directives
) -> None:
    """A document that one strategy keeps for longer than the upstream allows is not served to one that honours."""
    api = FakeUpstream(documents={"x": b'{"v":1}'}, directives=directives)
    async with open_rig(tmp_path, TWO_STRATEGIES, api=api) as rig:
        assert await rig.value("heedless") == {"v": 1}
        api.documents["x"] = b'{"v":2}'
        await trio.sleep(30)
        assert await rig.value("heeding") == {"v": 2}
        assert await rig.value("heedless") == {"v": 1}


BEHIND = """
[strategies.asking]
ttl = "100s"
call_directives = ["no-cache"]
[tools.one]
description = "A thing."
strategy = "asking"
[tools.one.fetch]
upstream = "api"
path = "x"
[tools.two]
description = "Two things."
strategy = "asking"
[tools.two.fetches.x]
upstream = "api"
path = "x"
[tools.two.fetches.y]
upstream = "api"
path = "y"
"""


async def test_who_wants_a_fresh_answer_joins_no_load_that_makes_do_with_less(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A load under way for a caller who asked for nothing takes documents as they are kept."""
    api = FakeUpstream(documents={"x": b"1", "y": b"1"})
    async with open_rig(tmp_path, BEHIND, api=api) as rig:
        await rig.call("one")
        api.documents["x"] = b"2"
        api.delay = 2.0

        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.call, "two")
            await trio.sleep(1)
            asked = await rig.catalogue.call("two", {}, meta={PROVENANCE: {"no-cache": True}})
        assert orjson.loads(asked.payload)["structuredContent"] == {"x": 2, "y": 1}
        assert orjson.loads(asked.payload)["_meta"][PROVENANCE]["status"] == "miss"


async def test_what_a_caller_is_told_holds_under_the_present_strategy(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """An answer that was kept under a longer ttl says when it goes stale now."""
    async with open_rig(tmp_path, TOOL + STRATEGY, api=things()) as rig:
        await ask(rig)
        await trio.sleep(10)
        shorter = profile_of(tmp_path, TOOL + STRATEGY.replace("100s", "30s"))
        rig.catalogue = Catalogue(shorter, rig.pipeline, {"api": rig.api})
        about = meta_of(await rig.call(name="a"))
        assert (about["status"], about["age"], about["expires"]) == ("hit", 10.0, 20.0)


async def test_the_answer_of_what_changes_something_is_not_for_later(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Nobody else gets it, so it does not claim to hold."""
    text = TOOL.replace("[tools.t.input", 'tags = ["thing:{name}"]\n[tools.t.input') + STRATEGY + CHANGE
    async with open_rig(tmp_path, text, api=FakeUpstream(documents={"changes/a": b"{}"})) as rig:
        assert meta_of(await rig.call("change", name="a"))["expires"] == 0.0
