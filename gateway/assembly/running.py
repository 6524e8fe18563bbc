"""A gateway whose profile can be replaced while it runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from gateway.assembly.core import Core, open_core
from gateway.assembly.gateway import Gateway
from gateway.assembly.generation import open_generation, working
from gateway.assembly.shared import beside, change_disk
from gateway.assembly.tiers import Tiers, open_tiers
from gateway.errors import StartError
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.pipeline import Siblings
from gateway.profile.loader import Loaded
from gateway.watch.folders import UNSEEN

_KINDS = ("tools", "resources", "templates", "prompts")

Commit = Callable[[], None]
"""Makes what was prepared the one that serves; can't fail, and does not wait."""
Prepare = Callable[[Gateway], Awaitable[Commit]]
"""Gets ready to serve another gateway, in whatever could fail."""


class _Generation:
    """One gateway, from when it can answer until nobody asks it any more."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.decided = trio.Event()
        self.taken = False
        """Whether it is to work, or was prepared in vain; known once it is `decided`."""
        self.works = trio.Event()
        self.over = trio.Event()

    def decide(self, *, taken: bool) -> None:
        self.taken = taken
        self.decided.set()


class Running:
    """The gateway that runs now, and how another takes its place."""

    def __init__(self, core: Core, nursery: trio.Nursery) -> None:
        self._core = core
        self._nursery = nursery
        self._drains: set[trio.CancelScope] = set()
        self._ends = False
        self._present: _Generation
        self.replaced = trio.Event()
        """Set when another gateway takes its place, and then another event."""
        self.prepare: Prepare = _nothing_to_do
        """What whoever serves has to do for a gateway that is to take over."""

    @property
    def gateway(self) -> Gateway:
        """The gateway of the profile as it was last loaded."""
        return self._present.gateway

    @property
    def loaded(self) -> Loaded:
        """The profile in force."""
        loaded = self._present.gateway.loaded
        assert loaded is not None  # noqa: S101  # every generation is opened of what was loaded
        return loaded

    async def begin(self, loaded: Loaded) -> None:
        """Open the first one."""
        self._present = await self._nursery.start(self._run, self._core.tiers, loaded, None)
        self._present.decide(taken=True)
        await self._present.works.wait()

    async def replace(self, loaded: Loaded) -> None:
        """Open a gateway of another profile beside the one that runs, and let it take its place.

        What the new profile says nothing new of goes on: entries, connections to upstreams, what was counted. Raises
        what opening and preparing raise, and StartError once all ends; then, and when it is cancelled, all is as
        before. What runs on the old profile is finished, for at most its `server.drain_timeout`. Only one task at a
        time may call this.
        """
        core, before = self._core, self._present
        tiers = await open_tiers(core.parts, loaded.profile.cache, core.clock, core.telemetry, core.tiers)
        try:
            await change_disk(core.shared, core.tiers.disk, tiers.disk)
            following: _Generation = await self._nursery.start(self._run, tiers, loaded, before.gateway)
        except BaseException:
            await tiers.close()
            raise
        try:
            commit = await self.prepare(following.gateway)
        except BaseException:
            following.decide(taken=False)
            raise
        if self._ends:  # whoever would take over now would never be told to end
            following.decide(taken=False)
            raise StartError("the gateway is stopping")
        tiers.take_over(core.tiers)
        core.pipeline.use(tiers.memory, tiers.lower, tiers.absent)
        core.tiers = tiers
        if core.shared is not None:
            core.shared.tier.purging.keep_beside(beside(tiers.disk))
        core.series.keep(loaded.profile.metrics.history)
        upstreams, others = loaded.profile.upstreams, before.gateway.profile.upstreams
        for name in upstreams.keys() | others.keys():
            if upstreams.get(name) != others.get(name):
                core.releases.pop(name, None)
                core.folders[name] = UNSEEN  # they are served from now on, and looked into a moment later
        self._present = following
        commit()
        following.decide(taken=True)
        before.over.set()
        self.replaced.set()
        self.replaced = trio.Event()
        _tell(before.gateway, following.gateway)

    def end(self) -> None:
        """Stop the services and close everything; nothing is waited for but what `open_core` waits for."""
        self._ends = True
        for drain in self._drains:
            drain.cancel()
        self._present.over.set()

    async def _run(
        self, tiers: Tiers, loaded: Loaded, before: Gateway | None, *, task_status: trio.TaskStatus[_Generation]
    ) -> None:
        async with open_generation(self._core, tiers, loaded.profile, loaded, before) as gateway:
            generation = _Generation(gateway)
            task_status.started(generation)
            await generation.decided.wait()
            if generation.taken:
                async with working(self._core, gateway, ahead=True):
                    generation.works.set()
                    await generation.over.wait()
                await self._drain(gateway)
        if tiers is not self._core.tiers:
            await tiers.close()

    async def _drain(self, gateway: Gateway) -> None:
        """Wait for what this gateway has under way; when the process ends, for nothing."""
        if self._ends:
            self._core.loads.cancel_scope.cancel()  # before what they use is closed
            return
        with trio.move_on_after(gateway.profile.server.drain_timeout) as drain:
            self._drains.add(drain)
            await gateway.users.wait_none()
            await self._core.pipeline.wait_landed()
        self._drains.discard(drain)


def _tell(before: Gateway, after: Gateway) -> None:
    """Announce lists that are others now, and forget answers that nobody can ask for any more."""
    if any(_listed(before, kind) != _listed(after, kind) for kind in _KINDS):
        after.changes.announce_lists()
    for name, tool in before.catalogue.tools.items():
        now = after.catalogue.tools.get(name)
        if after.memory is not None and (now is None or now.key_prefix != tool.key_prefix):
            after.memory.purge(Selector("glob", f"{tool.key_prefix}*"))


def _listed(gateway: Gateway, kind: str) -> Sequence[Mapping[str, Any]]:
    return gateway.catalogue.listing(kind).definitions


async def _nothing_to_do(_: Gateway) -> Commit:
    return lambda: None


@asynccontextmanager
async def open_running(
    loaded: Loaded, environ: Mapping[str, str] = os.environ, siblings: Siblings | None = None
) -> AsyncIterator[Running]:
    """A gateway of `loaded` that runs until the block ends, as `open_gateway` has it.

    `siblings` are who else is to hear of its purges.
    """
    async with open_core(loaded.profile, environ, siblings) as core, trio.open_nursery() as nursery:
        running = Running(core, nursery)
        await running.begin(loaded)
        try:
            yield running
        finally:
            running.end()
