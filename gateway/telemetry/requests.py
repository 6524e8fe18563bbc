"""Requests of clients as they end: each is timed, and some leave a line in the log."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, perf_counter

import structlog

from gateway.errors import GatewayError, UnknownVersion, UpstreamError, UpstreamNotFound
from gateway.telemetry.lines import Line
from gateway.telemetry.metrics import Labels
from gateway.telemetry.telemetry import Telemetry

log = structlog.get_logger(__name__)

_BAD = frozenset({"failed", "crashed"})
"""Outcomes that are logged whatever the sample: they are the gateway's or an upstream's fault."""

_PAUSE = 1.0
"""Seconds between two lines of the same failure."""


def ending_of(error: GatewayError) -> str:
    """The outcome of a request that ends with `error`: what nobody has is its caller's doing, as a bad argument is."""
    asked_for_nothing = isinstance(error, UpstreamNotFound | UnknownVersion)
    return "failed" if isinstance(error, UpstreamError) and not asked_for_nothing else "refused"


class Requests:
    """Notes how each request ended, and writes a line for some.

    `sample` is the share of all that leaves a line. Slow ones always do, unless `slow` is 0, and of those that fail one
    a second for each name.

    A line never has arguments, results or credentials: only what the profile names, and how it went.
    """

    def __init__(self, telemetry: Telemetry, *, sample: float = 0.0, slow: float = 0.0) -> None:
        self._timings = telemetry.requests
        self._known: dict[Labels, Callable[[float], None]] = {}
        """How to record, by the labels: to look here costs half of asking the family."""
        self._sample = sample
        self._slow = slow or float("inf")
        self._told: dict[tuple[str, str, str], float] = {}
        self._lines: dict[Labels, Line] = {}
        self._log = log.bind()
        """As logging is set up by now: to ask for that anew costs more than a line does."""

    def ended(self, kind: str, name: str, strategy: str, tier: str, outcome: str, seconds: float) -> None:
        """One has ended. Costs about half a microsecond where no line is written."""
        try:
            self._known[kind, name, strategy, tier, outcome](seconds)
        except KeyError:
            record = self._timings.of(kind, name, strategy, tier, outcome).record
            self._known[kind, name, strategy, tier, outcome] = record
            record(seconds)
        bad = outcome in _BAD and self._due(kind, name, outcome)
        if bad or seconds >= self._slow or (self._sample and random.random() < self._sample):  # noqa: S311  # no secret
            self._write(kind, name, strategy, tier, outcome, seconds)

    def _due(self, kind: str, name: str, outcome: str) -> bool:
        """Whether it is time to tell of this failure: whoever asks decides how often it happens."""
        now, about = monotonic(), (kind, name, outcome)
        if now < self._told.get(about, 0.0) + _PAUSE:
            return False
        self._told[about] = now
        return True

    def _write(self, kind: str, name: str, strategy: str, tier: str, outcome: str, seconds: float) -> None:
        line = self._lines.get((kind, name, strategy, tier, outcome))
        if line is None:
            about = {"kind": kind, "name": name, "strategy": strategy, "tier": tier, "outcome": outcome}
            known = {key: value for key, value in about.items() if value}
            line = Line(self._log, "warning" if outcome in _BAD else "info", "request", known, "ms")
            self._lines[kind, name, strategy, tier, outcome] = line
        line.write(round(seconds * 1000, 3))

    @contextmanager
    def watching(self, kind: str, name: str, *, strategy: str = "") -> Iterator[Ending]:
        """Notes the block as a request, which ends as it says there, or as its exception does.

        `name` and `strategy` are the profile's; empty where it has none for what is asked.
        """
        ending, began = Ending(), perf_counter()
        try:
            yield ending
        except GatewayError as error:
            ending.outcome = ending_of(error)
            raise
        except Exception:
            ending.outcome = "crashed"
            raise
        except BaseException:
            ending.outcome = "cancelled"
            raise
        finally:
            self.ended(kind, name, strategy, ending.tier, ending.outcome, perf_counter() - began)


class Ending:
    """What is known of a request once it has been answered."""

    __slots__ = ("outcome", "tier")

    def __init__(self) -> None:
        self.outcome = "passed"
        self.tier = ""
