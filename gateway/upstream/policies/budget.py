"""How many requests may be sent beyond those that callers wanted: retries and hedges."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

WINDOW = 60.0
"""Seconds that are looked back: in none longer than this is there more than the budget allows."""


class RetryBudget:
    """At most `share` of the requests of any stretch of time are sent again, or `minimum` where that is more.

    That is, in every window of up to a minute, wherever it begins and ends, there are at most
    max(minimum, share * n) extra requests for the n that callers wanted in it. So an upstream that fails is asked at
    most 1.2 times as often with a share of 20 %, from the first moment of its failure on; and one that is hardly ever
    asked can still be asked again. The usual token bucket (Finagle's RetryBudget; M. Brooker, "Fixing retries with
    token buckets and circuit breakers", 2022) does not promise that: what it saved up while all was well is spent at
    once when the upstream fails.

    With n-th extra request comes the condition that for every k > minimum the last k of them, this one included, have
    k / share requests since the first of the k. With d(j) for the number of requests at the j-th extra one that is
    share * (d(n) - d(j)) >= n - j + 1 for all j <= n - minimum, so the largest j - share * d(j) of those decides. It is
    kept in a queue of falling candidates, in whole numbers, so that nothing is lost to rounding.
    """

    def __init__(self, share: float, minimum: int) -> None:
        exact = Fraction(repr(share))
        self._earned, self._cost = exact.numerator, exact.denominator
        self._minimum = max(1, minimum)
        self.requests = 0
        self.extra = 0
        self._latest: deque[tuple[float, int]] = deque()
        self._debts: deque[tuple[float, int]] = deque()

    def requested(self) -> None:
        """A caller's own request is sent."""
        self.requests += 1

    def take(self, now: float) -> bool:
        """Whether an extra request may be sent at `now`, which is counted then."""
        while self._debts and self._debts[0][0] <= now - WINDOW:
            self._debts.popleft()
        debt = self._debts[0][1] if self._debts else None
        balance = self._earned * self.requests - self._cost * self.extra
        if debt is not None and balance - 2 * self._cost < debt:
            return False
        self.extra += 1
        self._latest.append((now, balance - self._cost))
        if len(self._latest) >= self._minimum:
            self._remember(*self._latest.popleft())
        return True

    def _remember(self, at: float, debt: int) -> None:
        """What counts from the next extra request on; an earlier and smaller debt never decides again."""
        while self._debts and self._debts[-1][1] <= debt:
            self._debts.pop()
        self._debts.append((at, debt))
