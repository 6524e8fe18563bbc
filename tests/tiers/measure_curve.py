"""Measures the miss-ratio curve of the memory tier on real traces: `python tests/tiers/measure_curve.py FOLDER`.

FOLDER holds traces, a key a line, as `NAME.txt.xz`. For each size and algorithm it prints the error at half, once,
double and four times that size against a memory tier that really has it, then what recording costs on the hit path.
"""

from __future__ import annotations

import argparse
import lzma
import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

import trio

from gateway.pipeline.clock import Clock
from gateway.pipeline.model import Entry, Loaded, Policy, Request
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.tiers import MemoryTier as MemorySection
from gateway.tiers.memory import MemoryTier

SIZES = {"web12": (500, 1000, 3000), "multi3": (600, 1000), "sprite": (200, 600), "orm-busy": (500, 2000)}
OTHERS = (400, 1600)
"""Sizes for a trace of another name."""
FIRST = 1_000_000
"""Looks into a tier over which what the curve plays at first counts."""
ENTRY = Entry(b"payload", 0.0, 1e12)


def tier(curve: bool, clock: Callable[[], float], **section: Any) -> MemoryTier:
    about = MemorySection.model_validate({"max_size": "1TB", "ttl": "3650d", "curve": curve, **section})
    return MemoryTier(about, clock)  # type: ignore[arg-type]  # a clock that stands still is one as well


def play(keys: Sequence[str], memory: MemoryTier) -> float:
    """The hit rate of `memory` for these requests."""
    get, put = memory.get, memory.put
    hits = 0
    for key in keys:
        if get(key) is None:
            put(key, ENTRY)
        else:
            hits += 1
    return hits / len(keys)


def errors(folder: Path, algorithm: str, only: str) -> None:
    worst: list[float] = []
    for path in sorted(folder.glob("*.txt.xz")):
        name = path.name.removesuffix(".txt.xz")
        if only not in name:
            continue
        keys = lzma.decompress(path.read_bytes()).decode().split()

        @cache
        def truth(items: int, keys: Sequence[str] = keys) -> float:
            return play(keys, tier(False, lambda: 1.0, max_items=items, algorithm=algorithm))

        for items in SIZES.get(name, OTHERS):
            memory = tier(True, lambda: 1.0, max_items=items, algorithm=algorithm)
            began = time.thread_time()
            play(keys, memory)
            seconds = time.thread_time() - began
            curve = memory.curve()
            assert curve is not None
            off = [point.hit_rate - truth(round(items * point.factor)) for point in curve.points]
            worst += map(abs, off)
            print(
                f"{algorithm:9}{name:10}{items:6}  ",
                "  ".join(f"{p.factor:g}x {p.hit_rate:.4f} {e:+.4f}" for p, e in zip(curve.points, off, strict=True)),
                f"  keys {curve.sampled:.2f} watched {curve.watched:.2f}  {seconds / len(keys) * 1e6:.1f} us/request",
                flush=True,
            )
    print(f"{algorithm}: worst {max(worst):.4f}, mean {sum(worst) / len(worst):.4f}")


async def _load(_: Entry | None) -> Loaded:
    return Loaded(ENTRY)


async def hit_path(algorithm: str, items: int, keys: Sequence[str], requests: int) -> None:
    """Recording as a part of a hit through the pipeline: one loop with and one without, in turns and at random."""
    clock = Clock()
    policy = Policy("s", ttl=1e12)
    asked = [Request(key, policy, _load) for key in keys]
    async with trio.open_nursery() as nursery:
        pipelines = [
            Pipeline(tier(curve, clock, max_items=items, algorithm=algorithm), [], clock, loads=nursery, writes=nursery)
            for curve in (False, True)
        ]
        for pipeline in pipelines:
            for request in asked * 3:
                await pipeline.get(request)
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(max(2, requests // len(asked))):
            for index in random.sample((0, 1), 2):  # who comes second has it a little harder
                began = time.thread_time()
                for request in asked:
                    await pipelines[index].get(request)
                took[index].append((time.thread_time() - began) / len(asked))
        nursery.cancel_scope.cancel()
    memory = [min(lookups(curve, algorithm, items, keys) for _ in range(3)) for curve in (False, True)]
    print(
        f"{algorithm}: {len(keys)} keys in turn, room for {items}: a hit takes {median(took[0]) * 1e6:.2f} us;",
        f"with the curve {median(took[1]) / median(took[0]) - 1:+.2%} (median),",
        f"{mean(took[1]) / mean(took[0]) - 1:+.2%} (mean), {min(took[1]) / min(took[0]) - 1:+.2%} (fastest);",
        f"MemoryTier.get alone, over the first {FIRST:,} from an empty tier on: {memory[0] * 1e9:.0f} ns and",
        f"{(memory[1] - memory[0]) * 1e9:+.0f} ns",
    )


def lookups(curve: bool, algorithm: str, items: int, keys: Sequence[str]) -> float:
    """Seconds for a look into the memory tier, with all that the curve plays at first."""
    memory = tier(curve, time.monotonic, max_items=items, algorithm=algorithm)
    began = time.thread_time()
    for _ in range(FIRST // len(keys)):
        play(keys, memory)
    return (time.thread_time() - began) / FIRST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="traces whose name contains this")
    parser.add_argument("--algorithm", choices=("lru", "adaptive"), action="append")
    parser.add_argument("--skip-errors", action="store_true")
    parser.add_argument("--requests", type=int, default=400_000)
    options = parser.parse_args()
    for algorithm in options.algorithm or ("lru", "adaptive"):
        if not options.skip_errors:
            errors(options.folder, algorithm, options.only)
        for items, count in ((50_000, 1000), (1000, 900)):
            trio.run(hit_path, algorithm, items, [f"key-{number}" for number in range(count)], options.requests)


if __name__ == "__main__":
    main()
