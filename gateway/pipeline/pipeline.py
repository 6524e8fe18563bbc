"""The way of a request: memory, the lower tiers, one load. Read this first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Protocol, cast

import structlog
import trio

from gateway.errors import GatewayError, TierError, UpstreamError, UpstreamInvalid, UpstreamUnavailable
from gateway.pipeline.clock import Clock
from gateway.pipeline.failures import Failures
from gateway.pipeline.freshness import Verdict, judge
from gateway.pipeline.invalidation import Purges, Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Answer, Entry, Loaded, Policy, Request, Status
from gateway.pipeline.single_flight import SingleFlight
from gateway.telemetry.metrics import TierMeter
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing import span

log = structlog.get_logger(__name__)


class Memory(Protocol):
    """The first tier: answers at once, never fails."""

    meter: TierMeter

    def get(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or not; counted as a hit or a miss."""

    def peek(self, key: str) -> Entry | None:
        """The entry of `key`, fresh or not, neither counted nor used."""

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry, at the cost of others where there is no room."""

    def purge(self, selector: Selector, *, soft: bool = False) -> int:
        """Forget the selected entries, or only make them stale; how many there were."""


class Siblings(Protocol):
    """Other processes of the same gateway, each with tiers of its own."""

    def publish(self, selector: Selector, *, soft: bool) -> Callable[[], Awaitable[None]]:
        """Tell all of them of a purge: to be awaited. Raises TierError."""


class Shared(Protocol):
    """What several instances share: a tier, purges and loads."""

    metered: Metered

    def publish(self, selector: Selector, *, soft: bool) -> Callable[[], Awaitable[None]]:
        """Tell all of them of a purge: sent at once, and to be awaited. Raises TierError."""

    async def load(self, request: Request, stale: Entry | None, began: float) -> Loaded:
        """What the load brings, put into the shared tier, or what another instance has brought since `began`."""


class Pipeline:
    """Gets entries: from the nearest tier that has a usable one, else by one load that every caller shares.

    Loads and refreshes run in the nursery `loads`, so that no caller's cancellation reaches them; what they bring is
    written to the lower tiers in the nursery `writes`, which is to outlive `loads`. `absent` names the tiers that the
    profile wants and that could not be opened: they may hold what a purge can't reach. `shared` is how loads and purges
    are shared with other instances, where they are.
    """

    def __init__(
        self,
        memory: Memory | None,
        lower: Sequence[Metered],
        clock: Clock,
        *,
        loads: trio.Nursery,
        writes: trio.Nursery,
        absent: Sequence[str] = (),
        telemetry: Telemetry | None = None,
        shared: Shared | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        self.clock = clock
        self.telemetry = telemetry or Telemetry()
        self._memory_hits, self._memory_misses = (
            self.telemetry.tiers.of("memory", "read", outcome) for outcome in ("hit", "miss")
        )
        self._shared = shared
        self.use(memory, lower, absent)
        self._lookups: SingleFlight[Answer] = SingleFlight(loads)
        self._loads: SingleFlight[Entry] = SingleFlight(loads)
        self._writes = writes
        self._purges = Purges()
        self._failures = Failures()
        self._siblings = siblings
        self._listeners: list[Callable[[], None]] = []
        self._listeners_elsewhere: list[Callable[[Selector], None]] = []

    def peek(self, request: Request) -> Answer | None:
        """What memory has for `request`, if it is fresh: no await, no load, nothing started."""
        if self.memory is None or "memory" not in request.policy.tiers:
            return None
        began = perf_counter()
        entry = self.memory.get(request.key)
        (self._memory_misses if entry is None else self._memory_hits).record(perf_counter() - began)
        if entry is None or judge(entry, request.policy, self.clock()) is not Verdict.FRESH:
            return None
        return Answer(entry, Status.HIT, "memory")

    async def get(self, request: Request, *, revalidate: bool = False) -> Answer:
        """The answer to `request`.

        With `revalidate` only a fresh entry will do and a stale one is refreshed first; it is what a refresh asks of
        its sources. Raises what the load raises when there is nothing usable either. Cancelling stops the waiting, not
        the load.
        """
        answer = self.peek(request)
        if answer is not None:
            await trio.lowlevel.checkpoint()
            return answer
        # The whole look-up is one flight, not only the load: between a miss and the load another one may have ended.
        # A caller from after a purge does not join a flight from before it, hence the generation.
        flight = (request.key, request.policy, revalidate, self._purges.generation)
        return await self._lookups.run(flight, partial(self._look_up, request, revalidate))

    async def purge(self, selector: Selector, *, soft: bool = False, siblings: bool = True) -> int:
        """Forget the selected entries in every tier and instance, and what loads under way would bring of them.

        A soft purge only makes them stale: the next request waits for a load, and gets the old answer if that fails.
        Without `siblings`, whoever asks tells the other processes of this machine himself. Returns how many entries
        there were, counting each tier of this instance, once the purge is durable. Raises TierError when a tier could
        not be purged: it is done in the others then, but may come back; and PurgePending when it is done here, and
        other instances will hear of it later.
        """
        try:
            return await self._purge(selector, soft=soft, elsewhere=True, siblings=siblings)
        finally:
            for purged in self._listeners:
                purged()

    async def purge_here(self, selector: Selector, *, soft: bool = False) -> int:
        """As `purge`, in this instance alone: of what is made of this machine, or was purged elsewhere already."""
        try:
            return await self._purge(selector, soft=soft, elsewhere=False, siblings=False)
        finally:
            for purged in self._listeners:
                purged()

    async def purged_elsewhere(self, selector: Selector, soft: bool) -> int:
        """Apply a purge of another instance. Raises TierError when it is not durable."""
        if not soft:
            for purged in self._listeners_elsewhere:
                purged(selector)
        return await self.purge_here(selector, soft=soft)

    def overtake(self, selector: Selector) -> None:
        """Keep nothing of the selected entries that loads under way bring; what is kept already stays."""
        self._purges.record(selector)

    @contextmanager
    def listening(self, purged: Callable[[], None]) -> Iterator[None]:
        """Call `purged` after every purge while the block runs, whoever asked for it and however it went."""
        self._listeners.append(purged)
        try:
            yield
        finally:
            self._listeners.remove(purged)

    def use(self, memory: Memory | None, lower: Sequence[Metered], absent: Sequence[str] = ()) -> None:
        """Use other tiers from now on; what is under way finds those that it began with."""
        self.memory, self._own, self._absent = memory, tuple(lower), tuple(absent)
        self.lower = self._own if self._shared is None else (*self._own, self._shared.metered)

    async def wait_landed(self) -> None:
        """Wait until every look-up and load that is under way now has ended; those that begin later are not meant."""
        for flights in (self._lookups, self._loads):
            await flights.wait_landed()

    @contextmanager
    def listening_elsewhere(self, purged: Callable[[Selector], None]) -> Iterator[None]:
        """Call `purged` before a purge of another instance is applied here, while the block runs."""
        self._listeners_elsewhere.append(purged)
        try:
            yield
        finally:
            self._listeners_elsewhere.remove(purged)

    async def _purge(self, selector: Selector, *, soft: bool, elsewhere: bool, siblings: bool) -> int:
        self._purges.record(selector)
        self._failures.forget(selector.value if selector.kind == "key" else None)
        count = self.memory.purge(selector, soft=soft) if self.memory is not None else 0
        # Sent before anything is waited for, as the disk's is queued: a look-up from now on comes after both.
        others = (self._shared if elsewhere else None, self._siblings if siblings else None)
        telling = [each.publish(selector, soft=soft) for each in others if each is not None]
        troubles: list[TierError] = []
        for tier in self._own:
            try:
                count += await tier.purge(selector, soft=soft)
            except TierError as error:
                troubles.append(error)
        for told in telling:
            try:
                await told()
            except TierError as error:
                troubles.append(error)
        if troubles:
            raise troubles[0]
        if self._absent and elsewhere:
            raise TierError(
                f"purged, but not where it can come back from: {', '.join(self._absent)} could not be opened"
            )
        return count

    async def _look_up(self, request: Request, revalidate: bool) -> Answer:
        began, since = self.clock(), self._purges.generation
        kept = await self._find(request)
        verdict = Verdict.EXPIRED if kept is None else judge(kept.entry, request.policy, self.clock())
        if kept is not None and verdict is Verdict.FRESH:
            return kept
        stand_in = None if verdict is Verdict.EXPIRED else kept
        failure = self._failures.of(request.key, self.clock())
        if failure is not None:
            if stand_in is None:
                raise failure
            return stand_in
        stale = None if kept is None else kept.entry
        if stand_in is not None and verdict is Verdict.REVALIDATE and not revalidate:
            self._loads.start(self._flight(request), partial(self._refresh, request, stale, since))
            return stand_in
        loaded = await self._wait_for_load(request, partial(self._load, request, stale, since), stand_in)
        if loaded is not None and (
            loaded.stored_at >= began or judge(loaded, request.policy, self.clock()) is Verdict.FRESH
        ):
            return Answer(loaded, Status.MISS, "upstream")
        # Otherwise it was made of what stands in for an upstream that fails: what is kept is just as good.
        if stand_in is not None or loaded is None:
            return cast(Answer, stand_in)
        return Answer(loaded, Status.STALE, "documents")

    async def _wait_for_load(
        self, request: Request, load: Callable[[], Awaitable[Entry]], stand_in: Answer | None
    ) -> Entry | None:
        """What the load brings; None where it fails or takes long, and `stand_in` is to be served.

        Who could be served something old does not wait for every retry, unless it is what they asked for not to get.
        The load goes on for those who come later.
        """
        in_a_hurry = stand_in is not None and not request.policy.patient
        try:
            if not in_a_hurry:  # then a look-up is not cancelled before the nursery of loads is
                return await self._loads.run_here(self._flight(request), load)
            with trio.move_on_after(request.policy.patience):
                return await self._loads.run(self._flight(request), load)
        except (UpstreamUnavailable, UpstreamInvalid) as error:
            if stand_in is None:
                raise
            log.warning("upstream fails, serving a stale entry", key=request.key, error=str(error))
        return None

    def _flight(self, request: Request) -> tuple[str, int, float]:
        """The loads that may be shared: of the same key, from after the same purges, of sources that may be as old."""
        return request.key, self._purges.generation, request.policy.max_age

    async def _find(self, request: Request) -> Answer | None:
        """The best entry of all tiers: the first fresh one, else the one that was fresh the longest.

        Memory is looked into once more, without being counted: another flight may have landed since it had nothing.
        """
        best: Answer | None = None
        with span("cache read", tier="memory") as reading:
            kept = self.memory.peek(request.key) if self.memory is not None and request.in_tier("memory") else None
            reading.set(outcome="miss" if kept is None else "hit")
        if kept is not None:
            if judge(kept, request.policy, self.clock()) is Verdict.FRESH:
                return Answer(kept, Status.HIT, "memory")
            best = Answer(kept, Status.STALE, "memory")
        with self._purges.load() as generation:
            for depth, tier in enumerate(self.lower):
                entry = await tier.get(request.key) if request.in_tier(tier.name) else None
                if entry is None:
                    continue
                if judge(entry, request.policy, self.clock()) is Verdict.FRESH:
                    await self._keep({request.key: entry}, request.policy, generation, self.lower[:depth])
                    return Answer(entry, Status.HIT, tier.name)
                if best is None or entry.fresh_until > best.entry.fresh_until:
                    best = Answer(entry, Status.STALE, tier.name)
        return best

    async def _load(self, request: Request, stale: Entry | None, since: int) -> Entry:
        with span("load"), self._purges.load() as generation:
            if generation != since:  # what was found before a purge is not to come back by a 304 (not modified)
                stale = None
            try:
                if self._shared is not None and request.shared:
                    loaded = await self._shared.load(request, stale, self.clock())
                else:
                    loaded = await request.load(stale)
            except UpstreamError as error:
                if self._purges.spared(generation, request.key):  # after a purge, everything is worth a try
                    self._failures.record(request.key, error, request.policy, self.clock())
                raise
            entries = dict(loaded.companions)
            if loaded.keep:
                entries[request.key] = loaded.entry
            await self._keep(entries, request.policy, generation, self._own)
        return loaded.entry

    async def _refresh(self, request: Request, stale: Entry | None, since: int) -> Entry:
        """A load in the background: perhaps nobody waits for it, so its failure is logged here."""
        try:
            return await self._load(request, stale, since)
        except GatewayError as error:
            log.warning("refresh failed", key=request.key, error=str(error))
            raise

    async def _keep(
        self, entries: Mapping[str, Entry], policy: Policy, generation: int, lower: Sequence[Metered]
    ) -> None:
        """Put what no purge since `generation` was about into memory and into the tiers `lower`, as `policy` has it.

        Nobody waits for a lower tier to commit, unless there is no memory for the next look-up to find the entry in.
        """
        allowed = self._allowed(entries, generation)
        in_memory = self.memory is not None and "memory" in policy.tiers
        if self.memory is not None and in_memory:
            for key, entry in allowed.items():
                self.memory.put(key, entry)
        for tier in lower:
            if tier.name not in policy.tiers:
                continue
            self._purges.hold(generation)
            if not in_memory:
                await self._write(tier, allowed, generation)
            else:
                self._writes.start_soon(self._write, tier, allowed, generation)

    async def _write(self, tier: Metered, entries: Mapping[str, Entry], generation: int) -> None:
        try:
            await tier.put(self._allowed(entries, generation))
        finally:
            self._purges.release(generation)

    def _allowed(self, entries: Mapping[str, Entry], generation: int) -> Mapping[str, Entry]:
        return {key: entry for key, entry in entries.items() if self._purges.allows(generation, key, entry.tags)}
