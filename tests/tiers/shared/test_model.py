"""Never a purged value: random histories of two instances and one engine against what each key is worth."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.pipeline.invalidation import Selector
from tests.fakes.engine import Engine
from tests.tiers.shared.rig import Instance, instance, section

KEYS = ("a", "b")
_PREFIXES = iter(range(10**9))

STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 1), st.sampled_from(KEYS)),
    st.tuples(st.just("start"), st.integers(0, 1), st.sampled_from(KEYS)),
    st.tuples(st.just("let"), st.just(0), st.sampled_from(KEYS)),
    st.tuples(st.just("change"), st.integers(0, 1), st.sampled_from(KEYS)),
    st.tuples(st.just("change all"), st.integers(0, 1), st.sampled_from(("tag", "glob", "all"))),
    st.tuples(st.just("settle"), st.just(0), st.just("")),
    st.tuples(st.just("forget"), st.integers(0, 1), st.just("")),
)


@dataclass
class World:
    """What every key is worth now, and what has been promised of it."""

    worth: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    promised: dict[tuple[int, str], int] = field(default_factory=dict)
    """By instance and key: what was purged there, or heard of there, is never served again."""
    held: dict[str, trio.Event] = field(default_factory=dict)

    async def source(self, key: str) -> bytes:
        """What the key is worth when it is asked for; it arrives when it may."""
        worth = self.worth[key]
        gate = self.held.get(key)
        if gate is not None:
            await gate.wait()
        await trio.lowlevel.checkpoint()
        return b"%d" % worth

    def promise(self, number: int, keys: tuple[str, ...]) -> None:
        for key in keys:
            self.promised[number, key] = self.worth[key]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=25))
def test_never_a_purged_value(engine: Engine, steps: list[tuple[str, int, str]]) -> None:
    """Whatever is asked, loaded, purged and forgotten in any order, what an instance knows to be purged is not served.

    And once all have heard of all purges, no instance serves anything from before one of them.
    """
    trio.run(play, section(engine, prefix=f"p{next(_PREFIXES)}", single_flight=len(steps) % 2 == 0), steps)


async def play(about: object, steps: list[tuple[str, int, str]]) -> None:
    world = World()
    async with (
        instance(about, world.source) as one,  # type: ignore[arg-type]
        instance(about, world.source) as other,  # type: ignore[arg-type]
        trio.open_nursery() as nursery,
    ):
        both = (one, other)
        with trio.fail_after(60):
            for what, number, key in steps:
                await step(world, both, nursery, what, number, key)
            for gate in world.held.values():
                gate.set()
            world.held.clear()
            await settle(world, both)
            for number in (0, 1):
                for key in KEYS:
                    await ask(world, both, number, key)


async def step(
    world: World, both: tuple[Instance, Instance], nursery: trio.Nursery, what: str, number: int, key: str
) -> None:
    match what:
        case "ask" if key not in world.held:
            await ask(world, both, number, key)
        case "start":  # a load that takes until "let", or the end
            world.held.setdefault(key, trio.Event())
            nursery.start_soon(ask, world, both, number, key)
            await trio.lowlevel.checkpoint()
        case "let" if key in world.held:
            world.held.pop(key).set()
        case "change":
            world.worth[key] += 1
            await both[number].pipeline.purge(Selector("key", key))
            world.promise(number, (key,))
        case "change all":
            for each in KEYS:
                world.worth[each] += 1
            selectors = {"tag": ("tag:a", "tag:b"), "glob": ("*",), "all": ("",)}[key]
            for value in selectors:
                await both[number].pipeline.purge(Selector(key, value))  # type: ignore[arg-type]
            world.promise(number, KEYS)
        case "settle":
            await settle(world, both)
        case "forget":
            memory = both[number].pipeline.memory
            assert memory is not None
            memory.purge(Selector("all"))


async def ask(world: World, both: tuple[Instance, Instance], number: int, key: str) -> None:
    """What an instance answers is no older than what it knew to be purged when it was asked."""
    promised = world.promised.get((number, key), 0)
    assert int(await both[number].ask(key)) >= promised


async def settle(world: World, both: tuple[Instance, Instance]) -> None:
    """Until each has heard of all that the other has purged."""
    for number, each in enumerate(both):
        made = both[1 - number].telemetry.shared.total("published")
        while each.telemetry.shared.total("heard") < made or each.tier.purging.applying:
            await trio.lowlevel.checkpoint()
    for number in (0, 1):
        world.promise(number, KEYS)
