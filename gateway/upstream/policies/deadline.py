"""How long a request to an upstream may take in all, and what it was doing when that was over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import trio

from gateway.errors import UpstreamUnavailable
from gateway.profile.units import format_duration

T = TypeVar("T")


_promised: ContextVar[float] = ContextVar("promised", default=float("inf"))
"""Told apart from a deadline that a caller sets for itself: an upstream is only to blame for what it was promised."""


class Doing:
    """What a request waits for at the moment, for the sentence about the deadline that it may miss."""

    def __init__(self) -> None:
        self.now = "waiting"


@contextmanager
def deadline(upstream: str, seconds: float, doing: Doing) -> Iterator[None]:
    """A scope that ends after `seconds`, then raising UpstreamUnavailable with what was being done."""
    try:
        with trio.fail_after(seconds) as scope:
            outer = _promised.set(min(_promised.get(), scope.deadline))
            try:
                yield
            finally:
                _promised.reset(outer)
    except trio.TooSlowError:
        limit = f"{format_duration(seconds)} (upstreams.{upstream}.timeout)"
        raise UpstreamUnavailable(upstream, f"no answer within {limit}: it was still {doing.now}") from None


def promised() -> float:
    """When the time of the request is over, by the earliest of the deadlines above that it is within."""
    return _promised.get()


async def limited(upstream: str, seconds: float | None, doing: Doing, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` answers within `seconds`; raises UpstreamUnavailable when they are over."""
    if seconds is None:
        return await attempt()
    with trio.move_on_after(seconds):
        return await attempt()
    limit = f"{format_duration(seconds)} (upstreams.{upstream}.try_timeout)"
    raise UpstreamUnavailable(upstream, f"no answer within {limit}: it was still {doing.now}")
