"""The ways in which the tasks of a gateway end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

_LAST_WRITES = 5.0
"""Seconds that writes to the lower tiers may take when the gateway closes."""


@asynccontextmanager
async def cancelled_at_the_end() -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks are cancelled when its block ends."""
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def cancelled_apart() -> AsyncIterator[trio.Nursery]:
    """As `cancelled_at_the_end`, and it may be cancelled before: that cancels its tasks, and not the block."""
    async with trio.open_nursery() as around:
        nursery: trio.Nursery = await around.start(_apart)
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


async def _apart(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()


@asynccontextmanager
async def finished_at_the_end() -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks get some time to finish when its block ends; an exception or a cancellation ends them."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            finally:
                scope.shield = True
                scope.deadline = trio.current_time() + _LAST_WRITES
