"""What a worker counts, on its way to the supervisor, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgpack

from gateway.assembly import Gateway
from gateway.telemetry.histogram import Histogram, combined
from gateway.telemetry.metrics import Counts, Labels, Timings
from gateway.telemetry.shapes import Misses, Spread
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.gauges import ThreadState, TierState, UpstreamState


@dataclass(frozen=True, slots=True)
class Numbers:
    """One worker at a moment."""

    ready: bool = False
    uptime: float = 0.0
    resident: int = 0
    cpu: float = 0.0
    """Seconds of processor time."""
    descriptors: tuple[int, int] = (0, 0)
    disk_free: int | None = None
    shared_down: float | None = None
    threads: ThreadState = field(default_factory=lambda: ThreadState(0, 0, 0))
    tools: int = 0
    tiers: Mapping[str, TierState] = field(default_factory=dict)
    upstreams: Mapping[str, UpstreamState] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    misses: Mapping[str, Misses] = field(default_factory=dict)
    timings: Mapping[str, Mapping[Labels, Histogram]] = field(default_factory=dict)
    """By the family's name in `Telemetry`."""
    counts: Mapping[str, Mapping[Labels, int]] = field(default_factory=dict)


async def numbers_of(gateway: Gateway) -> bytes:
    """What this worker counts, for `read`."""
    gauges, telemetry = gateway.watching.gauges, gateway.watching.telemetry
    free = await gauges.disk_free()
    families = vars(telemetry).items()
    told = {
        "ready": gateway.ready,
        "uptime": gauges.uptime,
        "resident": gauges.resident(),
        "cpu": gauges.cpu_seconds(),
        "descriptors": gauges.descriptors(),
        "disk_free": free,
        "shared_down": gauges.shared_down(),
        "threads": asdict(gauges.threads()),
        "tools": len(gateway.catalogue.definitions),
        "tiers": {name: asdict(state) for name, state in gauges.tiers().items()},
        "upstreams": {name: asdict(state) for name, state in gauges.upstreams().items()},
        "curves": {name: asdict(curve) for name, curve in gauges.curves().items()},
        "misses": {name: asdict(misses) for name, misses in telemetry.misses.misses().items()},
        "timings": {
            name: [[labels, timing.parts()] for labels, timing in family.items()]
            for name, family in families
            if isinstance(family, Timings)
        },
        "counts": {name: list(family.items()) for name, family in families if isinstance(family, Counts)},
    }
    packed: bytes = msgpack.packb(told)
    return packed


def read(packed: bytes) -> Numbers:
    """What `numbers_of` told. Raises ValueError for anything else."""
    told: dict[str, Any] = msgpack.unpackb(packed, use_list=False, strict_map_key=False)
    plain = ("ready", "uptime", "resident", "cpu", "descriptors", "disk_free", "shared_down", "tools")
    return Numbers(
        **{key: told[key] for key in plain},
        threads=ThreadState(**told["threads"]),
        tiers={name: TierState(**state) for name, state in told["tiers"].items()},
        upstreams={name: UpstreamState(**state) for name, state in told["upstreams"].items()},
        curves={name: _curve(curve) for name, curve in told["curves"].items()},
        misses={name: _misses(misses) for name, misses in told["misses"].items()},
        timings={
            name: {labels: Histogram.of_parts(*parts) for labels, parts in family}
            for name, family in told["timings"].items()
        },
        counts={name: dict(family) for name, family in told["counts"].items()},
    )


def fill(telemetry: Telemetry, parts: Iterable[Numbers]) -> None:
    """Let `telemetry` have the sum of `parts`, and nothing else."""
    every = list(parts)
    most: dict[str, Misses] = {}
    for part in every:
        for tool, misses in part.misses.items():
            if tool not in most or misses.noted > most[tool].noted:
                most[tool] = misses
    telemetry.misses.replace(most)  # what one worker has missed says as much as what all have
    for name, family in vars(telemetry).items():
        if isinstance(family, Timings):
            grouped: dict[Labels, list[Histogram]] = {}
            for part in every:
                for labels, timing in part.timings.get(name, {}).items():
                    grouped.setdefault(labels, []).append(timing)
            family.replace({labels: combined(timings) for labels, timings in grouped.items()})
        elif isinstance(family, Counts):
            counts: Counter[Labels] = Counter()
            for part in every:
                counts.update(part.counts.get(name, {}))
            family.replace(counts)


def added(parts: Iterable[Numbers]) -> Numbers:
    """The counters of workers that are no more: what else there was of them went with them."""
    telemetry, every = Telemetry(), list(parts)
    fill(telemetry, every)
    families = vars(telemetry).items()
    return Numbers(
        cpu=sum(part.cpu for part in every),
        timings={name: dict(family.items()) for name, family in families if isinstance(family, Timings)},
        counts={name: dict(family.items()) for name, family in families if isinstance(family, Counts)},
    )


def _curve(told: Mapping[str, Any]) -> Curve:
    return Curve(**{**told, "points": tuple(CurvePoint(**point) for point in told["points"])})


def _misses(told: Mapping[str, Any]) -> Misses:
    return Misses(**{**told, "arguments": {name: Spread(**each) for name, each in told["arguments"].items()}})
