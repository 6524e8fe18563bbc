"""What the tests of scaling share: sections, curves and readings."""

from __future__ import annotations

from typing import Any

from gateway.profile.scaling import Scaling
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.scaling.decision import Outcome, decide
from gateway.watch.scaling.model import Reading, Standing, Surroundings

STEEP = (0.2, 0.4, 0.8, 0.9)
FLAT = (0.9, 0.9, 0.903, 0.904)
KEY = "cache.memory.max_size"


def section(**more: Any) -> Scaling:
    return Scaling.model_validate({"enabled": True, "cooldown": "60s", **more})


def curve(rates: tuple[float, ...] = STEEP, size: int = 100_000_000, accesses: int = 1_000_000) -> Curve:
    """The hit rates at half, once, twice and four times the size."""
    points = zip((0.5, 1.0, 2.0, 4.0), rates, strict=True)
    return Curve(tuple(CurvePoint(factor, int(size * factor), rate) for factor, rate in points), accesses, 1.0, 1.0)


def tier(**more: Any) -> Reading:
    """A memory tier of 100 MB that is full, and evicts."""
    about: dict[str, Any] = {
        "key": KEY,
        "kind": "memory",
        "value": 100_000_000,
        "least": 50_000_000,
        "most": 400_000_000,
        "load": 0.99,
        "peak": 0.99,
        "wants": True,
        "evidence": "99% full, 500 entries evicted in 60 s",
        "used": 99_000_000,
        "entries": 10_000,
        "reads": 100.0,
        "curve": curve(),
    }
    return Reading(**{**about, **more})


def pool(**more: Any) -> Reading:
    """A pool of 10 for which requests wait."""
    about: dict[str, Any] = {
        "key": "upstreams.api.max_concurrent",
        "kind": "pool",
        "value": 10,
        "least": 5,
        "most": 40,
        "load": 1.0,
        "peak": 1.0,
        "wants": True,
        "evidence": "100% of the slots taken, 30 requests waited for one in 60 s",
        "answers": 100.0,
    }
    return Reading(**{**about, **more})


def threads(**more: Any) -> Reading:
    """40 threads, all at work, with tasks that wait."""
    about: dict[str, Any] = {"key": "scaling.threads", "kind": "threads", "value": 40, "least": 8, "most": 64}
    return pool(**{**about, **more})


def around(
    now: float = 1000.0, resident: int = 200_000_000, budget: int = 1_000_000_000, cpu: float = 0.2
) -> Surroundings:
    return Surroundings(now, resident, budget, "scaling.memory_budget", cpu)


def after_looks(
    reading: Reading, scaling: Scaling | None = None, surroundings: Surroundings | None = None, **standing: Any
) -> Outcome | None:
    """What comes of the look that is the last of those that it takes."""
    scaling = scaling or section()
    known = Standing(high=scaling.looks - 1, low=scaling.looks - 1, **standing)
    outcomes, _ = decide(scaling, [reading], surroundings or around(), {reading.key: known})
    return outcomes[0] if outcomes else None
