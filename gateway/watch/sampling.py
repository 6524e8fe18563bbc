"""The sampler: notes every `metrics.resolution` what happened since, for alerts, charts and the diagnosis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import trio

from gateway.pipeline.clock import Clock
from gateway.telemetry.histogram import Histogram, combined
from gateway.telemetry.metrics import Labels, Timings
from gateway.telemetry.series import ProcessSample, Sample, Series, TierSample, UpstreamSample
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.gauges import Gauges, TierState, UpstreamState

_PATIENCE = 1.0
"""Seconds that a sample waits for the file system."""
_KINDS = frozenset({"tool", "resource", "prompt", "completion"})
"""The requests that count: lists are answered from the profile and say nothing of how the gateway does."""


@dataclass(slots=True)
class _Totals:
    """What a sample is the difference of."""

    at: float
    requests: Mapping[Labels, Histogram] = field(default_factory=dict)
    upstreams: Mapping[Labels, Histogram] = field(default_factory=dict)
    tier_states: Mapping[str, TierState] = field(default_factory=dict)
    upstream_states: Mapping[str, UpstreamState] = field(default_factory=dict)
    lag: Histogram | None = None
    cpu: float = 0.0


class Sampler:
    """Adds samples to `series`. `run` is the service."""

    def __init__(self, telemetry: Telemetry, gauges: Gauges, series: Series, interval: float, clock: Clock) -> None:
        self._series = series
        self._telemetry = telemetry
        self._gauges = gauges
        self._interval = interval
        self._clock = clock

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take samples until cancelled; the first covers the time since this began."""
        before = self._totals()
        task_status.started()
        next_at = before.at + self._interval
        while True:
            await trio.sleep_until(next_at)
            before = await self._sample(before)
            # After a loop that was blocked for long: no samples of no time.
            next_at = max(next_at, before.at - self._interval / 2) + self._interval

    def _totals(self, before: _Totals | None = None) -> _Totals:
        return _Totals(
            trio.current_time(),
            _copied(self._telemetry.requests, before.requests if before is not None else None, _KINDS),
            _copied(self._telemetry.upstreams, before.upstreams if before is not None else None),
            self._gauges.tiers(),
            self._gauges.upstreams(),
            self._telemetry.lag.of().copy(),
            self._gauges.cpu_seconds(),
        )

    async def _sample(self, before: _Totals) -> _Totals:
        free = None
        with trio.move_on_after(_PATIENCE):  # a file system that hangs must not stop the watching
            free = await self._gauges.disk_free()
        now = self._totals(before)
        seconds = max(now.at - before.at, 1e-6)
        requests = _since(now.requests, before.requests)
        lag = self._telemetry.lag.of().since(before.lag)
        cpu = (now.cpu - before.cpu) / seconds
        threads, descriptors = self._gauges.threads(), self._gauges.descriptors()[0]
        process = ProcessSample(
            self._gauges.resident(),
            cpu,
            lag.max,
            descriptors,
            free,
            self._gauges.shared_down(),
            threads.busy,
            threads.waiting,
        )
        self._series.add(
            Sample(
                self._clock(),
                seconds,
                combined(requests.values()).packed(),
                _counted(requests, self._telemetry.requests, "outcome"),
                {name: _tier(state, before.tier_states.get(name)) for name, state in now.tier_states.items()},
                self._upstreams(now, before),
                process,
            )
        )
        return now

    def _upstreams(self, now: _Totals, before: _Totals) -> Mapping[str, UpstreamSample]:
        asked = _since(now.upstreams, before.upstreams)
        samples = {}
        for name in {labels[0] for labels in now.upstreams} | set(now.upstream_states):
            own = {labels: timing for labels, timing in asked.items() if labels[0] == name}
            timings, outcomes = combined(own.values()).packed(), _counted(own, self._telemetry.upstreams, "outcome")
            samples[name] = _upstream(
                timings, outcomes, now.upstream_states.get(name), before.upstream_states.get(name)
            )
        return samples


def _copied(
    family: Timings, before: Mapping[Labels, Histogram] | None, kinds: frozenset[str] | None = None
) -> dict[Labels, Histogram]:
    """A copy of each, or the last one where nothing has been recorded since: most are idle."""
    last: Mapping[Labels, Histogram] = before or {}
    return {
        labels: last[labels] if labels in last and last[labels].count == timing.count else timing.copy()
        for labels, timing in family.items()
        if kinds is None or labels[0] in kinds
    }


def _since(now: Mapping[Labels, Histogram], before: Mapping[Labels, Histogram]) -> dict[Labels, Histogram]:
    changed = {labels: timing for labels, timing in now.items() if timing is not before.get(labels)}
    return {labels: timing.since(before.get(labels)) for labels, timing in changed.items()}


def _counted(timings: Mapping[Labels, Histogram], family: Timings, label: str) -> Counter[str]:
    place = family.labels.index(label)
    counts: Counter[str] = Counter()
    for labels, timing in timings.items():
        counts[labels[place]] += timing.count
    return counts


def _tier(now: TierState, before: TierState | None) -> TierSample:
    then = before or TierState(0, 0, 0, 0, 0, 0, 0)
    return TierSample(
        now.hits - then.hits,
        now.misses - then.misses,
        now.failed - then.failed,
        now.entries,
        now.size,
        now.limit,
        now.evictions - then.evictions,
    )


def _upstream(
    timings: Histogram, outcomes: Mapping[str, int], now: UpstreamState | None, before: UpstreamState | None
) -> UpstreamSample:
    if now is None:  # one on this machine
        return UpstreamSample(timings, outcomes)
    then = before or UpstreamState(0, 0, 0, 0, 0, False, 0)
    return UpstreamSample(
        timings,
        outcomes,
        now.under_way,
        now.queued,
        now.throttled,
        now.requests - then.requests,
        now.extra - then.extra,
        now.breaker_open,
        now.waits - then.waits,
    )
