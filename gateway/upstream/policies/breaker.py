"""A circuit breaker: an upstream that fails is left alone for a while, then tried by one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import trio

from gateway.errors import UpstreamError, UpstreamNotAsked, UpstreamUnavailable
from gateway.profile.units import format_duration, format_ratio
from gateway.profile.upstreams.policies import Breaker
from gateway.upstream.policies.retry import AskedToWait

_PARTS = 10
"""The sliding window moves on by tenths: so much of it is remembered, however many requests there are."""


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """The breaker at a moment."""

    state: Literal["closed", "open", "half-open"]
    trips: int
    """How often it has opened."""
    failures_in_a_row: int
    requests: int
    """Within the window, as are the failures."""
    failures: int
    seconds_left: float
    """Until it is half open; 0 where it is not open."""


class CircuitBreaker:
    """Closed it counts, open it refuses, half open it lets one request at a time find out (M. Nygard, "Release It!").

    A failure is an UpstreamUnavailable: no connection, no answer in time, an answer that breaks off, 5xx, and 429,
    since who is told to slow down over and over makes it worse by asking on. Every other answer is a success, also one
    that says no or can't be used: the upstream is there. What the caller cancelled is neither.

    The ejection doubles with every trip, up to `max_ejection`; for every `window` with answers after that, it halves.
    Where the failure that trips it came with a Retry-After, the ejection is at least as long, within `max_ejection`.
    """

    def __init__(self, upstream: str, section: Breaker) -> None:
        self._upstream = upstream
        self._section = section
        self._window = _Window(section.window)
        self._in_a_row = 0
        self._trips = 0
        self._doublings = 0
        self._eased_at = float("-inf")
        self._open_until: float | None = None
        self._why = ""
        self._probing = False
        # What was sent before the breaker changed says nothing about the time after.
        self._era = 0

    @property
    def closed(self) -> bool:
        """Whether requests are sent as usual."""
        return self._open_until is None

    def check(self, now: float) -> None:
        """Raise UpstreamNotAsked if a request would be refused now; for those who are about to wait for something."""
        if self._open_until is None:
            return
        if now < self._open_until:
            left = format_duration(max(0.1, round(self._open_until - now, 1)))
            raise UpstreamNotAsked(self._upstream, f"not asked for {left} more, since {self._why}")
        if self._probing:
            raise UpstreamNotAsked(
                self._upstream, f"not asked while one request finds out whether it is back, since {self._why}"
            )

    def is_open_at(self, time: float) -> bool:
        """Whether requests will be refused at `time`, as things are now."""
        return self._open_until is not None and time < self._open_until

    @contextmanager
    def watching(self, until: float) -> Iterator[None]:
        """The block is one request, of which the outcome counts; raises UpstreamNotAsked instead of entering it.

        `until` is when the request's time is over: what is cancelled after that has timed out.
        """
        self.check(trio.current_time())
        era, probe = self._era, self._open_until is not None
        self._probing = self._probing or probe
        try:
            yield
        except UpstreamUnavailable as failure:
            self._failed(era, failure.message, failure.seconds if isinstance(failure, AskedToWait) else 0.0)
            raise
        except UpstreamError:
            self._succeeded(era)
            raise
        except BaseException:
            if trio.current_time() >= until:
                self._failed(era, "no answer in time", 0.0)
            raise
        else:
            self._succeeded(era)
        finally:
            if probe and era == self._era:
                self._probing = False

    def statistics(self, now: float) -> BreakerStatistics:
        """The state and the counts."""
        answered, failed = self._window.counts(now)
        left = 0.0 if self._open_until is None else max(0.0, self._open_until - now)
        state: Literal["closed", "open", "half-open"] = "open" if left else "half-open"
        if self._open_until is None:
            state = "closed"
        return BreakerStatistics(state, self._trips, self._in_a_row, answered + failed, failed, left)

    def _succeeded(self, era: int) -> None:
        if era != self._era:
            return
        now = trio.current_time()
        if self._open_until is not None:
            self._close(now)
        self._in_a_row = 0
        self._window.add(now, failed=False)
        if self._doublings and now - self._eased_at >= self._section.window:
            self._doublings -= 1
            self._eased_at = now

    def _failed(self, era: int, what: str, wait: float) -> None:
        if era != self._era or not self._section.enabled:
            return
        now, section = trio.current_time(), self._section
        self._in_a_row += 1
        self._window.add(now, failed=True)
        answered, failed = self._window.counts(now)
        total = answered + failed
        key = f"upstreams.{self._upstream}.breaker"
        if self._open_until is not None or self._in_a_row >= section.failures:
            self._trip(now, f"{self._in_a_row} requests in a row failed ({key}.failures), the last: {what}", wait)
        elif total >= section.min_requests and failed >= section.failure_rate * total:
            rate = format_ratio(round(failed / total, 2))
            last = f"within {format_duration(section.window)} {rate} of {total} requests failed"
            self._trip(now, f"{last} ({key}.failure_rate), the last: {what}", wait)

    def _trip(self, now: float, why: str, wait: float) -> None:
        section = self._section
        seconds = min(max(section.ejection * 2**self._doublings, wait), section.max_ejection)
        if section.ejection * 2**self._doublings < section.max_ejection:
            self._doublings += 1
        self._open_until, self._why = now + seconds, why
        self._trips += 1
        self._turn()

    def _close(self, now: float) -> None:
        self._open_until, self._why = None, ""
        self._window = _Window(self._section.window)
        self._eased_at = now
        self._turn()

    def _turn(self) -> None:
        self._era += 1
        self._probing = False


class _Window:
    """Answers and failures of the last `seconds`, to a tenth of it."""

    def __init__(self, seconds: float) -> None:
        self._part = seconds / _PARTS
        self._counts: deque[tuple[int, list[int]]] = deque()

    def add(self, now: float, *, failed: bool) -> None:
        index = int(now // self._part)
        if not self._counts or self._counts[-1][0] != index:
            self._counts.append((index, [0, 0]))
            self._forget(index)
        self._counts[-1][1][failed] += 1

    def counts(self, now: float) -> tuple[int, int]:
        """Answers, failures."""
        self._forget(int(now // self._part))
        return sum(part[0] for _, part in self._counts), sum(part[1] for _, part in self._counts)

    def _forget(self, index: int) -> None:
        while self._counts and self._counts[0][0] <= index - _PARTS:
            self._counts.popleft()
