"""What outlives a reload of the profile: resources that are held by whoever uses them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import trio

from gateway.errors import GatewayError

T = TypeVar("T")


class _Part:
    """A resource that is open, in a task of its own: whoever opened it may be gone before the last one who uses it."""

    def __init__(self, about: object) -> None:
        self.about = about
        self.value: Any = None
        self.holders = 0
        self.released = trio.Event()
        self.closed = trio.Event()


class Parts:
    """Opens each resource once for all who want the same, and closes it when the last one lets it go.

    What is the same is said by `about`: the kind, the name and the section of the profile, compared with `==`.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._parts: list[_Part] = []

    def __len__(self) -> int:
        """How many are open."""
        return len(self._parts)

    def has(self, about: object) -> bool:
        """Whether one is open already."""
        return any(part.about == about for part in self._parts)

    async def hold(
        self, stack: AsyncExitStack, about: object, opening: Callable[[], AbstractAsyncContextManager[T]]
    ) -> T:
        """The resource that is `about` this: an open one, else what `opening` opens; held until `stack` closes.

        Raises what opening it raises. Only one task at a time may call this.
        """
        part = next((part for part in self._parts if part.about == about), None)
        if part is None:
            part = _Part(about)
            part.value = await self._open(part, opening)
            self._parts.append(part)
        part.holders += 1
        stack.push_async_callback(self._let_go, part)
        value: T = part.value
        return value

    async def _open(self, part: _Part, opening: Callable[[], AbstractAsyncContextManager[Any]]) -> Any:
        try:
            return await self._nursery.start(self._keep, part, opening)
        except BaseExceptionGroup as group:  # the nurseries of the resource have wrapped what it says
            error = _only(group)
            if isinstance(error, GatewayError):
                raise error from error.__cause__
            raise

    async def _keep(
        self,
        part: _Part,
        opening: Callable[[], AbstractAsyncContextManager[Any]],
        *,
        task_status: trio.TaskStatus[Any],
    ) -> None:
        try:
            async with opening() as value:
                task_status.started(value)
                await part.released.wait()
        finally:
            part.closed.set()

    async def _let_go(self, part: _Part) -> None:
        part.holders -= 1
        if not part.holders:
            self._parts.remove(part)
            part.released.set()
            await part.closed.wait()


def _only(error: BaseException) -> BaseException:
    """The one error in a group, at whatever depth; the group that has several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
