"""How long a request to an upstream may take in all, and what it was doing when that was over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from gateway.errors import UpstreamUnavailable
from gateway.profile.units import format_duration


class Doing:
    """What a request waits for at the moment, for the sentence about the deadline that it may miss."""

    def __init__(self) -> None:
        self.now = "waiting"


@contextmanager
def deadline(upstream: str, seconds: float, doing: Doing) -> Iterator[None]:
    """A scope that ends after `seconds`, then raising UpstreamUnavailable with what was being done."""
    try:
        with trio.fail_after(seconds):
            yield
    except trio.TooSlowError:
        limit = f"{format_duration(seconds)} (upstreams.{upstream}.timeout)"
        raise UpstreamUnavailable(upstream, f"no answer within {limit}: it was still {doing.now}") from None
