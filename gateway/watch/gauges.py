"""What is looked at, and not recorded: how full the tiers are, what upstreams have under way, what the process uses."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from gateway import __version__
from gateway.pipeline.metered import Metered
from gateway.telemetry.metrics import Labels, Metric
from gateway.tiers.curve import Curve
from gateway.tiers.memory import MemoryTier
from gateway.upstream.policies import Policies

if TYPE_CHECKING:
    import psutil

    from gateway.tiers.disk import DiskTier
    from gateway.tiers.shared.tier import SharedTier

# psutil is imported at the first look, and not while a gateway starts.


@dataclass(frozen=True, slots=True)
class TierState:
    """A tier at a moment; `hits`, `misses`, `failed` and `evictions` are since the start."""

    hits: int
    misses: int
    failed: int
    entries: int
    size: int
    limit: int
    evictions: int


@dataclass(frozen=True, slots=True)
class ThreadState:
    """The worker threads at a moment."""

    busy: int
    limit: int
    waiting: int
    """Tasks that wait for one."""


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """An upstream at a moment; `requests`, `extra`, `trips` and `waits` are since the start."""

    under_way: int
    queued: int
    throttled: int
    requests: int
    extra: int
    breaker_open: bool
    trips: int
    batches: int = 0
    batched: int = 0
    limit: int = 0
    """Requests that may be under way."""
    waits: int = 0
    """Requests that had to wait for a slot."""
    answer_p95: float = 0.0
    """Seconds of the last answers, without what they waited for here; 0 while there are too few to say."""


class Gauges:
    """Reads the parts of one gateway. Nothing here waits but `disk_free`."""

    def __init__(
        self,
        memory: MemoryTier | None,
        disk: DiskTier | None,
        lower: Sequence[Metered],
        policies: Mapping[str, Sequence[Policies]],
        started: float | None = None,
        shared: SharedTier | None = None,
    ) -> None:
        self._memory = memory
        self._shared = shared
        self._disk = disk
        self._meters = {tier.name: tier.meter for tier in lower}
        self._policies = policies
        self._looking = trio.CapacityLimiter(1)
        """A file system that hangs holds one thread, not all of them."""
        self._started = time.time() if started is None else started

    @cached_property
    def _process(self) -> psutil.Process:
        import psutil

        return psutil.Process()

    @property
    def uptime(self) -> float:
        """Seconds since the gateway was opened."""
        return time.time() - self._started

    def tiers(self) -> dict[str, TierState]:
        """Every tier, fastest first."""
        states = {}
        if self._memory is not None:
            meter, stands = self._memory.meter, self._memory.statistics()
            states["memory"] = TierState(
                meter.hits,
                meter.misses,
                meter.errors,
                stands.entries,
                stands.size,
                self._memory.limits[0],
                stands.evictions,
            )
        if self._disk is not None:
            meter, file = self._meters["disk"], self._disk.statistics()
            states["disk"] = TierState(
                meter.hits,
                meter.misses,
                meter.errors,
                file.entries,
                file.bytes_used,
                self._disk.max_size,
                file.evicted,
            )
        if self._shared is not None:  # how much is in the engine is the engine's to tell
            meter = self._meters["shared"]
            states["shared"] = TierState(meter.hits, meter.misses, meter.errors, 0, 0, 0, 0)
        return states

    def shared_down(self) -> float | None:
        """Seconds for which the engine of the shared tier has been out of reach; None without such a tier."""
        return None if self._shared is None else self._shared.statistics().down_seconds

    def curves(self) -> dict[str, Curve]:
        """What hit rate each tier would have at other sizes; nothing of one whose curve the profile turned off."""
        curves = {tier.name: tier.curve() for tier in (self._memory, self._disk) if tier is not None}
        return {name: curve for name, curve in curves.items() if curve is not None}

    def upstreams(self) -> dict[str, UpstreamState]:
        """Every upstream that is asked over a network or a pipe."""
        return {name: _added(policies) for name, policies in self._policies.items() if policies}

    def threads(self) -> ThreadState:
        """The worker threads of whoever has none of its own."""
        limiter = trio.to_thread.current_default_thread_limiter()
        return ThreadState(limiter.borrowed_tokens, int(limiter.total_tokens), limiter.statistics().tasks_waiting)

    def resident(self) -> int:
        """Bytes of the process that are in memory."""
        return int(self._process.memory_info().rss)

    def descriptors(self) -> tuple[int, int]:
        """How many file descriptors are open, and how many may be."""
        return self._process.num_fds(), resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def cpu_seconds(self) -> float:
        """CPU time of the process, of the user and of the system."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    async def disk_free(self) -> int | None:
        """Bytes that are free where the disk tier's file lies; None where there is none, or it can't be told."""
        if self._disk is None:
            await trio.lowlevel.checkpoint()
            return None
        return await trio.to_thread.run_sync(_free, self._disk.file.path, abandon_on_cancel=True, limiter=self._looking)

    def metrics(self) -> list[Metric]:
        """All of it, as it is told."""
        tiers, upstreams, threads = self.tiers(), self.upstreams(), self.threads()
        open_now, most = self.descriptors()

        def of_tiers(name: str, about: str, attribute: str, *, counter: bool = False) -> Metric:
            samples: dict[Labels, float] = {(tier,): float(getattr(state, attribute)) for tier, state in tiers.items()}
            return Metric(name, about, "counter" if counter else "gauge", ("tier",), samples)

        def of_upstreams(name: str, about: str, attribute: str, *, counter: bool = False) -> Metric:
            samples: dict[Labels, float] = {
                (upstream,): float(getattr(state, attribute)) for upstream, state in upstreams.items()
            }
            return Metric(name, about, "counter" if counter else "gauge", ("upstream",), samples)

        return [
            _one("gateway_info", "Which gateway this is", 1.0, version=__version__),
            _one("gateway_uptime_seconds", "Since the gateway was opened", self.uptime),
            of_tiers("gateway_tier_entries", "Entries in a tier", "entries"),
            of_tiers("gateway_tier_size_bytes", "Bytes in a tier, with bookkeeping", "size"),
            of_tiers("gateway_tier_limit_bytes", "Bytes that a tier may have at present", "limit"),
            of_tiers("gateway_tier_evictions", "Entries given up for lack of room", "evictions", counter=True),
            of_upstreams("gateway_upstream_under_way", "Requests that have a slot (`max_concurrent`)", "under_way"),
            of_upstreams("gateway_upstream_limit", "Requests that may have a slot at present", "limit"),
            of_upstreams("gateway_upstream_waits", "Requests that had to wait for a slot", "waits", counter=True),
            of_upstreams("gateway_upstream_queued", "Requests that wait for a slot (`max_queue`)", "queued"),
            of_upstreams("gateway_upstream_throttled", "Requests that wait for a token (`rate_limit`)", "throttled"),
            of_upstreams("gateway_upstream_requests", "Requests sent for callers, each once", "requests", counter=True),
            of_upstreams("gateway_upstream_extra_requests", "Retries and hedges beside those", "extra", counter=True),
            of_upstreams("gateway_upstream_batches", "Requests sent for several (`batch`)", "batches", counter=True),
            of_upstreams("gateway_upstream_batched", "What those asked for", "batched", counter=True),
            of_upstreams(
                "gateway_upstream_breaker_open", "1 while the breaker lets little or nothing through", "breaker_open"
            ),
            of_upstreams("gateway_upstream_breaker_trips", "How often the breaker opened", "trips", counter=True),
            *self._of_shared(),
            _one("gateway_process_memory_bytes", "Resident memory", float(self.resident())),
            _one("gateway_process_cpu_seconds", "CPU time, user and system", self.cpu_seconds(), counter=True),
            _one("gateway_threads_busy", "Worker threads that work", float(threads.busy)),
            _one("gateway_threads_limit", "Worker threads that there may be at present", float(threads.limit)),
            _one("gateway_threads_waiting", "Tasks that wait for a worker thread", float(threads.waiting)),
            _one("gateway_process_descriptors", "Open file descriptors", float(open_now)),
            _one("gateway_process_descriptors_limit", "File descriptors that may be open", float(most)),
        ]

    def _of_shared(self) -> list[Metric]:
        if self._shared is None:
            return []
        stands = self._shared.statistics()
        return [
            _one("gateway_shared_up", "1 while the engine of `cache.shared` is in reach", float(stands.up)),
            _one("gateway_shared_untold_purges", "Purges that other instances are to be told of", float(stands.untold)),
            _one("gateway_shared_waiting", "Loads that wait for another instance", float(stands.waiting)),
            _one("gateway_shared_damaged", "Entries that did not decode", float(stands.damaged), counter=True),
            _one("gateway_shared_overtaken", "Writes after a purge, not made", float(stands.overtaken), counter=True),
            _one("gateway_shared_too_large", "Answers over `max_value`", float(stands.too_large), counter=True),
        ]


def _one(name: str, about: str, value: float, *, counter: bool = False, **labels: str) -> Metric:
    values: Labels = tuple(labels.values())
    return Metric(name, about, "counter" if counter else "gauge", tuple(labels), {values: value})


def _added(policies: Sequence[Policies]) -> UpstreamState:
    parts = [each.statistics() for each in policies]
    return UpstreamState(
        sum(part.under_way for part in parts),
        sum(part.queued for part in parts),
        sum(part.throttled for part in parts),
        sum(part.requests for part in parts),
        sum(part.extra for part in parts),
        any(part.breaker.state != "closed" for part in parts),
        sum(part.breaker.trips for part in parts),
        sum(part.batches for part in parts),
        sum(part.batched for part in parts),
        sum(each.slots.limit for each in policies),
        sum(part.waits for part in parts),
        max(part.answer_p95 for part in parts),
    )


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None
