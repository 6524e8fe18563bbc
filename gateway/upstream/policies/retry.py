"""When a request that failed is sent again.

Written here and not taken from stamina or tenacity: what decides is what they don't know (the caller's deadline, the
upstream's Retry-After, the budget, the breaker), and the rest of it is a loop.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import trio

from gateway.errors import UpstreamNotAsked, UpstreamUnavailable

T = TypeVar("T")

Draw = Callable[[float, float], float]
"""A random number between two others, such as `random.uniform`."""


class AskedToWait(UpstreamUnavailable):
    """The upstream is there, but said when to ask again (Retry-After, RFC 9110, section 10.2.3)."""

    def __init__(self, upstream: str, message: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(upstream, message)


def pauses(retries: int, delay: float, draw: Draw = random.uniform) -> Iterator[float]:
    """The seconds before each of `retries` further tries: backoff with full jitter, from `delay` up, doubling.

    Full jitter draws from zero to the bound, so that callers that failed together do not come back together
    (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
    """
    for doublings in range(retries):
        yield draw(0.0, delay * 2**doublings)


def _always(_pause: float) -> bool:
    return True


async def retrying(
    ask: Callable[[], Awaitable[T]], pauses: Iterator[float], worthwhile: Callable[[float], bool] = _always
) -> T:
    """What `ask` answers, asked again after each of `pauses` for as long as it raises UpstreamUnavailable.

    Raises the last failure when there are no pauses left, and at once when the next pause, or the wait that the
    upstream asked for, would end after the caller's deadline (sleeping towards a certain timeout helps nobody), or is
    not `worthwhile`. A try that is not even sent (UpstreamNotAsked) is the last one, and the failure before it, if
    any, says more. Any other exception is final.
    """
    last: UpstreamUnavailable | None = None
    while True:
        try:
            return await ask()
        except UpstreamNotAsked as refused:
            raise last or refused from None
        except UpstreamUnavailable as failure:
            pause = next(pauses, None)
            if pause is None:
                raise
            if isinstance(failure, AskedToWait):
                pause = max(pause, failure.seconds)
            if trio.current_time() + pause >= trio.current_effective_deadline() or not worthwhile(pause):
                raise
            last = failure
        await trio.sleep(pause)
