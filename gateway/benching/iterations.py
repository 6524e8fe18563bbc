"""Iterations made of operations: many in a row, one that is waited for, or many at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import repeat
from time import perf_counter

import trio

from gateway.benching.model import Iteration


def in_a_row(operation: Callable[[], object], times: int) -> Iteration:
    """An iteration of `times` operations one after the other; the loop adds some 20 ns to each."""

    async def iterate() -> float:
        began = perf_counter()
        for _ in repeat(None, times):
            operation()
        took = perf_counter() - began
        await trio.lowlevel.checkpoint()
        return took

    return iterate


def waited_for(operation: Callable[[], Awaitable[object]]) -> Iteration:
    """An iteration of one operation."""

    async def iterate() -> float:
        began = perf_counter()
        await operation()
        return perf_counter() - began

    return iterate


def at_once(operation: Callable[[], Awaitable[object]], times: int) -> Iteration:
    """An iteration of `times` operations, each in a task of its own; starting the tasks is part of it."""

    async def iterate() -> float:
        began = perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in repeat(None, times):
                nursery.start_soon(operation)
        return perf_counter() - began

    return iterate
