"""A load test while it runs: clients that ask, in a closed or an open loop."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio

from gateway.loading.mix import Mix
from gateway.loading.model import BROKEN, NOT_SENT, TIMEOUT, Call, Client, Reply, Target
from gateway.loading.schedule import due, starts
from gateway.loading.tally import Tally
from gateway.profile.load import Load

_PAUSE = 0.1
"""Seconds that a client of a closed loop waits after its connection broke: a refusal takes no time, and ten thousand of
them a second say no more than ten."""

_Loop = Callable[[Client, random.Random], Awaitable[None]]


class LoadTest:
    """Asks `target` what `mix` draws, as often as `load` says; `tally` holds what came of it, at any time."""

    def __init__(self, target: Target, mix: Mix, load: Load) -> None:
        self._target = target
        self._mix = mix
        self._load = load
        self._seed = 0
        self._taken = 0
        self._began = 0.0
        self._last = 0.0
        self.tally = Tally()
        self.made = 0
        """Requests that have ended, those of the warm-up among them."""
        self.over = False

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return (self._last if self.over else trio.current_time()) - self._began

    @property
    def counted_seconds(self) -> float:
        """Seconds since requests count."""
        return max(0.0, self.elapsed - self._load.warm_up)

    async def run(self) -> None:
        """Run to the end. Requests under way at the end of `duration` may still take their `timeout`.

        Cancelling ends it at once; requests under way then are not counted.
        """
        load = self._load
        self._began = self._last = trio.current_time()
        one = self._open_loop if load.rate is not None else self._closed_loop
        begins = [0.0] * load.connections if load.rate is not None else starts(load.connections, load.ramp)
        try:
            async with trio.open_nursery() as nursery:
                for number, begin in enumerate(begins):
                    nursery.start_soon(self._client, one, begin, random.Random(number))  # noqa: S311
        finally:
            self._last = trio.current_time()
            self.over = True

    async def _client(
        self, loop: Callable[[Client, random.Random], Awaitable[None]], begin: float, draw: random.Random
    ) -> None:
        client = self._target.client()
        try:
            await trio.sleep_until(self._began + begin)
            with trio.move_on_after(self._load.timeout):
                await client.open()  # what fails here fails at the first call, too, where it counts
            await loop(client, draw)
        finally:
            with trio.CancelScope(shield=True):
                await client.aclose()

    async def _closed_loop(self, client: Client, draw: random.Random) -> None:
        delay = self._load.delay
        while self._take() is not None and not self._ended(trio.current_time()):
            call = self._mix.draw(draw)
            began = trio.current_time()
            reply = await self._ask(client, call)
            self._count(call, began, reply)
            if reply.error in BROKEN:
                await trio.sleep(max(delay, _PAUSE))
            elif delay:
                await trio.sleep(delay)

    async def _open_loop(self, client: Client, draw: random.Random) -> None:
        load = self._load
        rate = load.rate or 0.0
        while (number := self._take()) is not None:
            at = self._began + due(number, rate, load.ramp)
            if self._ended(at):
                return
            if at > trio.current_time():
                await trio.sleep_until(at)
            call = self._mix.draw(draw)
            if trio.current_time() - at >= load.timeout:
                await trio.lowlevel.checkpoint()
                self._count(call, at, Reply(0, NOT_SENT, "no connection came free within the timeout"))
            else:
                self._count(call, at, await self._ask(client, call))

    async def _ask(self, client: Client, call: Call) -> Reply:
        with trio.move_on_after(self._load.timeout):
            return await client.ask(call)
        return Reply(0, TIMEOUT)

    def _take(self) -> int | None:
        """The number of the next request; None when there were all."""
        number = self._taken
        if self._load.requests is not None and number >= self._load.requests:
            return None
        self._taken += 1
        return number

    def _ended(self, at: float) -> bool:
        limit = self._load.seconds
        return limit is not None and at - self._began >= limit

    def _count(self, call: Call, began: float, reply: Reply) -> None:
        """Count what began, or was due, once the warm-up was over."""
        now = trio.current_time()
        self.made += 1
        counted_from = self._began + self._load.warm_up
        if began >= counted_from:
            self.tally.count(call.tool, now - counted_from, now - began, reply)
