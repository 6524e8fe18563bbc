"""The shared tier: entries in an engine that several instances reach, with their purges, leases and rates."""

from __future__ import annotations

import random
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import structlog
import trio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.shared import SharedTier as SharedSection
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.codec import Codec, DamagedRowError
from gateway.tiers.shared.link import Link
from gateway.tiers.shared.names import Names
from gateway.tiers.shared.purging import Purging
from gateway.tiers.shared.remembered import KnownFile
from gateway.tiers.shared.scripts import GET, PUT

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
"""Seconds before an engine that is down is tried again: twice as long each time, with full jitter."""
_GAIN = 0.10
_LARGE = 100_000
"""Payloads of at least this size are encoded in a thread: compressing one takes more than a millisecond."""
_LONGEST_LIFE = 30 * 86_400.0
"""Seconds that anything is kept in the engine at most."""


@dataclass(frozen=True, slots=True)
class SharedStatistics:
    """How the shared tier is; counters count since the start."""

    up: bool
    down_seconds: float
    """For how long the engine has been out of reach; 0 while it is not."""
    damaged: int
    """Entries that did not decode, or were not those of their key."""
    overtaken: int
    """Writes that a purge had overtaken."""
    too_large: int
    untold: int
    """Purges that the other instances have not been told of yet."""
    waiting: int
    """Loads that wait for what another instance brings."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """An entry as the engine has it."""

    entry: Entry
    version: bytes
    """Another one whenever it is written."""


class SharedTier:
    """Entries that every instance of the profile may read and write; `run` is the service that keeps it connected.

    What is read was not purged by any instance, as far as the engine knows. What a load brought is written only if no
    purge since it began is about it. Entries that have one of the tags `local` are made of what is on this machine, and
    stay here.
    """

    name = "shared"

    def __init__(
        self,
        section: SharedSection,
        clock: Clock,
        pool_size: int,
        telemetry: Telemetry,
        *,
        known: Path | None,
        local: Collection[str] = (),
    ) -> None:
        self.section = section
        self.clock = clock
        self.names = Names(section.prefix)
        self.link = Link(section)
        self.purging = Purging(section, self.link, self.names, KnownFile(known), telemetry.shared)
        self.local = set(local)
        """Tags of what is made of what is on this machine."""
        self._codec = Codec(section.compression_threshold, _GAIN, pool_size)
        self._encoding = trio.CapacityLimiter(2)
        self._damaged = self._overtaken = self._too_large = 0
        self.waiting = 0
        """Loads that wait for what another instance brings."""
        self._down_since: float | None = trio.current_time()

    def statistics(self) -> SharedStatistics:
        """How it is."""
        down = 0.0 if self._down_since is None else trio.current_time() - self._down_since
        counts = self._damaged, self._overtaken, self._too_large
        return SharedStatistics(self.link.up, down, *counts, self.purging.untold, self.waiting)

    async def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or stale; None also for one that is damaged or another key's, which is counted."""
        answer = await self.link.do(GET, self.names.entry(key), self.purging.epoch, _bytes(key))
        found = self.decoded(key, answer)
        return None if found is None else found.entry

    async def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries that were loaded just now."""
        await self.keep(entries, self.purging.applied)

    async def keep(self, entries: Mapping[str, Entry], heard: int) -> bool:
        """Keep what a load brought that began when `heard` was `purging.applied`; whether all of it is there now."""
        kept = [await self._keep(key, entry, heard) for key, entry in entries.items()]
        return all(kept)

    async def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Tell all instances of a purge; 0, since nobody counts what it is about. Raises PurgePending."""
        await self.publish(selector, soft=soft)()
        return 0

    def publish(self, selector: Selector, *, soft: bool) -> Callable[[], Awaitable[None]]:
        """As `purge`, sent at once and to be awaited later."""
        return self.purging.publish(selector, soft=soft)

    def decoded(self, key: str, answer: list[Any] | None) -> Versioned | None:
        """The entry that a script has answered."""
        if answer is None:
            return None
        try:
            stamp, tags, row, soft, version = answer
            entry = self._codec.decode(key, row, int(stamp))
            same = tuple(msgpack.unpackb(tags, use_list=False, unicode_errors="surrogatepass")) == entry.tags
            stale_at = int(soft)
        except (DamagedRowError, ValueError, TypeError, msgpack.UnpackException) as error:
            self._ignored(key, str(error))
            return None
        if not same:
            self._ignored(key, "the tags that purges see are not those of the entry")
            return None
        if stale_at:
            entry = entry.made_stale(min(self.clock(), stale_at / 1_000_000))
        return Versioned(entry, version)

    def _ignored(self, key: str, problem: str) -> None:
        self._damaged += 1
        log.debug("damaged cache entry ignored", tier=self.name, key=key, problem=problem)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay connected until cancelled. Started once it has caught up, or the engine was found to be down."""
        await self.purging.load()
        began = False
        async with trio.open_nursery() as nursery:

            def up() -> None:
                nonlocal began
                self._came_up()
                if not began:
                    task_status.started()
                began = True

            if self.section.trust is not None:
                nursery.start_soon(self._distrust, self.section.trust)
            try:
                pause = _FIRST_PAUSE
                while True:
                    was_up = await self._connect(up)
                    if not began:
                        task_status.started()
                    began = True
                    pause = _FIRST_PAUSE if was_up else min(_LONGEST_PAUSE, pause * 2)
                    await trio.sleep(random.uniform(pause / 4, pause))  # noqa: S311  # jitter is no secret
            finally:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await self.purging.close()

    async def _connect(self, up: Callable[[], None]) -> bool:
        """One session; whether it was up."""
        was_up = False

        def now_up() -> None:
            nonlocal was_up
            was_up = True
            up()

        try:
            async with self.link.connected() as (commands, news):

                def ready() -> None:
                    self.link.open(commands)
                    now_up()

                await self.purging.run_session(commands, news, ready)
        except TierError as error:
            self._went_down(str(error))
        except Exception as error:  # an engine that answers what no engine does, or a mistake of ours: it is down then
            log.exception("shared tier failed", tier=self.name)
            self._went_down(f"{type(error).__name__}: {error}")
        return was_up

    def _came_up(self) -> None:
        self._down_since = None
        log.info("shared tier connected", tier=self.name, untold=self.purging.untold)

    def _went_down(self, reason: str) -> None:
        first = self._down_since is None or self.link.reason == "not connected yet"
        self.link.reason = reason.removeprefix("shared: ")
        if self._down_since is None:
            self._down_since = trio.current_time()
        if first:
            log.warning("shared tier out of reach, serving from memory and disk", key="cache.shared.url", error=reason)

    async def _distrust(self, trust: float) -> None:
        """Make stale what is kept whenever nothing has been heard for so long."""
        while True:
            since = self._down_since
            now = trio.current_time()
            await trio.sleep(trust if since is None else max(0.05, since + trust - now))
            if since is not None and self._down_since == since:
                log.warning("nothing heard for cache.shared.trust, what is kept counts as stale", tier=self.name)
                try:
                    await self.purging.apply(Selector("all"), True)
                except TierError as error:
                    log.warning("it does not, since it can't be purged", tier=self.name, error=str(error))
                await trio.sleep(trust)

    async def _keep(self, key: str, entry: Entry, heard: int) -> bool:
        if len(entry.payload) > self.section.max_value:
            self._too_large += 1
            return False
        if not self.local.isdisjoint(entry.tags):
            return False
        now = self.clock()
        kept = entry.fresh_at_most_until(now + self.section.ttl)
        life = min(kept.usable_until - now, _LONGEST_LIFE)
        if life <= 0:
            return False
        encode = partial(self._codec.encode, key, kept, heard)
        try:
            row = (
                encode()
                if len(entry.payload) < _LARGE
                else await trio.to_thread.run_sync(encode, limiter=self._encoding)
            )
            tags = bytes(msgpack.packb(kept.tags, unicode_errors="surrogatepass"))
        except (TypeError, ValueError, OverflowError) as error:
            raise TierError(f"shared: the entry {key!r} can't be written: {error}") from error
        about = (self.purging.epoch, _bytes(key), heard, tags, row, max(1, int(life * 1000)), secrets.token_bytes(8))
        if await self.link.do(PUT, self.names.entry(key), *about):
            return True
        self._overtaken += 1
        return False


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
