"""One load at a time for each document, however many instances want it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Literal

import msgpack
import structlog
import trio

from gateway.errors import (
    TierError,
    UpstreamError,
    UpstreamInvalid,
    UpstreamNotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.pipeline.freshness import Verdict, judge
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.metered import Metered
from gateway.pipeline.model import Entry, Loaded, Request
from gateway.telemetry.metrics import Timings
from gateway.tiers.shared.scripts import RELEASE, TAKE
from gateway.tiers.shared.tier import SharedTier, Versioned

log = structlog.get_logger(__name__)

Outcome = Literal["loaded", "shared", "failed", "expired", "down"]
"""How it went: loaded here, brought by another instance, failed there, not waited for any longer, no engine."""

_FIRST_LOOK = 0.01
_SLOWEST_LOOK = 0.1
"""Seconds between two looks for what another instance brings: twice as long each time."""
_FAILURE = 2000
"""Milliseconds for which those who waited can learn how a load failed."""
_HOLDERS = 2
"""Instances that are waited for one after the other, each for no longer than a lease."""
_FAILURES = {each.__name__: each for each in (UpstreamUnavailable, UpstreamInvalid, UpstreamRejected, UpstreamNotFound)}


class Leases:
    """What the pipeline knows of the shared tier: where loads are made, and how purges are told.

    Of the loads that ask an upstream, of which one instance makes each while the others wait for what it brings.

    A lease is a key in the engine that expires by itself: an instance that is killed is waited for no longer than
    `cache.shared.lease`, and then one other takes over. A load never waits for a lease while it holds another one that
    somebody could wait for in turn: only what asks an upstream takes one, and that is made of nothing else.
    """

    def __init__(self, tier: SharedTier, metered: Metered, timings: Timings, writes: trio.Nursery) -> None:
        self._tier = tier
        self.metered = metered
        self._writes = writes
        self._timings = timings

    def publish(self, selector: Selector, *, soft: bool) -> Callable[[], Awaitable[None]]:
        """Tell all instances of a purge: sent at once, and to be awaited. Raises PurgePending."""
        return self._tier.publish(selector, soft=soft)

    async def load(self, request: Request, stale: Entry | None, began: float) -> Loaded:
        """What the request's load brings, here or elsewhere; raises what it raises, there, too.

        What another instance has brought is good enough if it is fresh to the request, or from after `began`.
        """
        heard, tier = self._tier.purging.applied, self._tier
        if not (request.asks and tier.section.single_flight and tier.link.up):
            loaded = await request.load(stale)
            if tier.link.up:
                self._writes.start_soon(self._share, loaded, request, heard)
            return loaded
        started = perf_counter()
        waiting = _Waiting(request, began)
        outcome: Outcome = "down"
        try:
            while True:
                turn = await self._turn(waiting)
                if isinstance(turn, Loaded):
                    outcome = "shared"
                    return turn
                if turn != "wait":
                    break
            if turn == "yours":
                outcome = "loaded"
                return await self._hold(request, stale, waiting.token, heard)
            outcome = "expired"
        except UpstreamError:
            outcome = "failed" if outcome == "down" else outcome
            raise
        except TierError as error:
            log.debug("loading without the shared tier", key=request.key, error=str(error))
        finally:
            self._timings.of(outcome).record(perf_counter() - started)
        loaded = await request.load(stale)
        if tier.link.up:
            self._writes.start_soon(self._share, loaded, request, heard)
        return loaded

    async def _turn(self, waiting: _Waiting) -> Loaded | Literal["yours", "wait", "alone"]:
        """Look once, and pause where there is nothing yet."""
        request, tier = waiting.request, self._tier
        names = [*tier.names.entry(request.key), *tier.names.lease(request.key)]
        lease = int(tier.section.lease * 1000)
        key = request.key.encode("utf-8", "surrogatepass")
        answer = await tier.link.do(
            TAKE, names, tier.purging.epoch, key, waiting.token, lease, waiting.seen, waiting.holder
        )
        match answer[0]:
            case b"yours":
                return "yours"
            case b"entry":
                waiting.seen = answer[5]
                found = tier.decoded(request.key, answer[1:])
                return Loaded(found.entry) if found is not None and waiting.satisfied(found) else "wait"
            case b"failed":
                error = _error(answer[1])
                if error is None:
                    return "alone"
                raise error
            case _:
                if not waiting.goes_on(answer[1], tier.section.lease):
                    return "alone"
                tier.waiting += 1
                try:
                    await trio.sleep(waiting.pause())
                finally:
                    tier.waiting -= 1
                return "wait"

    async def _hold(self, request: Request, stale: Entry | None, token: str, heard: int) -> Loaded:
        """Load, share what was brought, and give up the lease, with a word for those who wait."""
        how = b""  # what was brought is in the tier, or the next one has to try
        try:
            loaded = await request.load(stale)
            if not await self._share(loaded, request, heard):
                how = _packed(None)
        except UpstreamError as error:
            if type(error).__name__ in _FAILURES:
                how = _packed(error)
            raise
        finally:
            with trio.CancelScope(shield=True):  # bounded: an operation takes no longer than its timeout
                await self._release(request, token, how)
        return loaded

    async def _release(self, request: Request, token: str, how: bytes) -> None:
        try:
            await self._tier.link.do(RELEASE, self._tier.names.lease(request.key), token, how, _FAILURE)
        except TierError as error:
            log.debug("a lease runs out by itself", key=request.key, error=str(error))

    async def _share(self, loaded: Loaded, request: Request, heard: int) -> bool:
        """Put what was brought into the tier; whether others find it there."""
        entries = dict(loaded.companions)
        if loaded.keep:
            entries[request.key] = loaded.entry
        kept: list[bool] = []

        async def put() -> None:
            kept.append(await self._tier.keep(entries, heard))

        await self.metered.write(put, len(entries))
        return loaded.keep and kept == [True]


class _Waiting:
    """A request that waits for another instance."""

    def __init__(self, request: Request, began: float) -> None:
        self.request = request
        self.token = secrets.token_hex(8)
        self.seen: bytes = b""
        """The version of the entry that was seen, and would not do."""
        self.holder: bytes = b""
        self._began = began
        self._holders = 0
        self._until = 0.0
        self._pause = _FIRST_LOOK

    def satisfied(self, found: Versioned) -> bool:
        """Whether the request can be answered by what was found."""
        fresh = judge(found.entry, self.request.policy, self._began) is Verdict.FRESH
        return fresh or found.entry.stored_at >= self._began

    def goes_on(self, holder: bytes, lease: float) -> bool:
        """Whether `holder` is waited for any longer."""
        now = trio.current_time()
        if holder != self.holder:
            self.holder = holder
            self._holders += 1
            self._until = now + lease
            self._pause = _FIRST_LOOK
        return now < self._until and self._holders <= _HOLDERS

    def pause(self) -> float:
        """Seconds until the next look."""
        pause, self._pause = self._pause, min(_SLOWEST_LOOK, self._pause * 2)
        return pause


def _packed(error: UpstreamError | None) -> bytes:
    """How a load failed, for those who wait for it; None for one whose answer can't be shared: each is to ask."""
    about = ("alone",) if error is None else (type(error).__name__, error.upstream, error.message)
    return bytes(msgpack.packb(about, unicode_errors="surrogatepass"))


def _error(how: bytes) -> UpstreamError | None:
    """The failure of another instance's load; None where that says nothing about one's own."""
    try:
        name, upstream, message = msgpack.unpackb(how, unicode_errors="surrogatepass")
        return _FAILURES[name](upstream, message)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException):
        return None
