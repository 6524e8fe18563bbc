"""A load test while it runs: clients that ask, in a closed or an open loop."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from gateway.loading.mix import Mix
from gateway.loading.model import BROKEN, NOT_SENT, TIMEOUT, Call, Client, Reply, Target
from gateway.loading.schedule import due, starts
from gateway.loading.tally import Tally
from gateway.profile.load import Load

_PAUSE = 0.1
"""Seconds that a client of a closed loop waits after its connection broke: a refusal takes no time, and ten thousand of
them a second say no more than ten."""

_LOOKS = 50
"""How often within a timeout it is looked whether one is over: it comes late by at most a fiftieth."""


@dataclass(slots=True, eq=False)
class _Asking:
    """One client, and what it waits for.

    One task looks after the timeouts of all of them. A cancel scope for each request would be the textbook's way, and
    takes a quarter of all the processor time that a request costs (measured by tests/loading/measure_client.py).
    """

    client: Client
    draw: random.Random
    call: Call
    due: float = 0.0
    """When the call was due, or made; what its latency counts from."""
    since: float = math.inf
    """When it was made; infinite while nothing is asked."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def ask(self, call: Call, due: float) -> Reply:
        """What came of the call. An answer that comes when the timeout is over is late: it is cancelled then, too."""
        self.call, self.due, self.since = call, due, trio.current_time()
        reply = await self.client.ask(call)
        if self.scope.cancel_called:
            await trio.lowlevel.checkpoint()
        self.since = math.inf
        return reply


_Loop = Callable[[_Asking], Awaitable[None]]


class LoadTest:
    """Asks `target` what `mix` draws, as often as `load` says; `tally` holds what came of it, at any time."""

    def __init__(self, target: Target, mix: Mix, load: Load) -> None:
        self._target = target
        self._mix = mix
        self._load = load
        self._seed = 0
        self._taken = 0
        self._asking: list[_Asking] = []
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
            async with trio.open_nursery() as watching:
                watching.start_soon(self._look_at_timeouts)
                async with trio.open_nursery() as nursery:
                    for number, begin in enumerate(begins):
                        nursery.start_soon(self._client, one, begin, random.Random(number))  # noqa: S311
                watching.cancel_scope.cancel()
        finally:
            self._last = trio.current_time()
            self.over = True

    async def _client(self, loop: _Loop, begin: float, draw: random.Random) -> None:
        client = self._target.client()
        asking = _Asking(client, draw, self._mix.draw(draw))
        try:
            await trio.sleep_until(self._began + begin)
            with trio.move_on_after(self._load.timeout):
                await client.open()  # what fails here fails at the first call, too, where it counts
            self._asking.append(asking)
            while True:
                with asking.scope:
                    await loop(asking)
                    return
                self._count(asking.call, asking.due, Reply(0, TIMEOUT))
                asking.scope, asking.since = trio.CancelScope(), math.inf
        finally:
            with trio.CancelScope(shield=True):
                await client.aclose()

    async def _closed_loop(self, asking: _Asking) -> None:
        delay = self._load.delay
        while self._take() is not None and not self._ended(trio.current_time()):
            call = self._mix.draw(asking.draw)
            began = trio.current_time()
            reply = await asking.ask(call, began)
            self._count(call, began, reply)
            if reply.error in BROKEN:
                await trio.sleep(max(delay, _PAUSE))
            elif delay:
                await trio.sleep(delay)

    async def _open_loop(self, asking: _Asking) -> None:
        load = self._load
        rate = load.rate or 0.0
        while (number := self._take()) is not None:
            at = self._began + due(number, rate, load.ramp)
            if self._ended(at):
                return
            if at > trio.current_time():
                await trio.sleep_until(at)
            call = self._mix.draw(asking.draw)
            if trio.current_time() - at >= load.timeout:
                await trio.lowlevel.checkpoint()
                self._count(call, at, Reply(0, NOT_SENT, "no connection came free within the timeout"))
            else:
                self._count(call, at, await asking.ask(call, at))

    async def _look_at_timeouts(self) -> None:
        timeout = self._load.timeout
        while True:
            await trio.sleep(timeout / _LOOKS)
            before = trio.current_time() - timeout
            for asking in self._asking:
                if asking.since <= before:
                    asking.scope.cancel()

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
