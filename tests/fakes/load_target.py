"""A server in this process for load tests on a mock clock: it answers after a time that a test decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from gateway.loading.model import Call, Era, Reply


@dataclass
class FakeTarget:
    """Asks `takes` at each call how long it takes, and `replies` what comes of it; keeps when each was made."""

    takes: Callable[[float], float]
    replies: Callable[[Call], Reply] = lambda _: Reply(100)
    name: str = "a fake"
    era: Era = "modern"
    asked: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    """Calls at once."""

    def client(self) -> FakeClient:
        return FakeClient(self)


class FakeClient:
    """One of its clients."""

    def __init__(self, target: FakeTarget) -> None:
        self._target = target

    async def open(self) -> Reply:
        self._target.opened.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        return Reply()

    async def ask(self, call: Call) -> Reply:
        target = self._target
        now = trio.current_time()
        target.asked.append(now)
        target.under_way += 1
        target.most = max(target.most, target.under_way)
        try:
            await trio.sleep(target.takes(now))
        finally:
            target.under_way -= 1
        return target.replies(call)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
