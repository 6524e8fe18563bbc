"""Measures what profiling costs a busy gateway: `python tests/watch/profiling/measure_overhead.py`.

One process does the same work with and without the sampler, in turns, and prints the ratio of the processor time that
it took, looking included; then the same for the samples that are always taken.
"""

from __future__ import annotations

import argparse
import statistics
import time

import trio

from gateway.watch.profiling import StackProfiler
from gateway.watch.profiling.cpu import INTERVAL, cpu_times


async def work(rounds: int, depth: int = 40) -> float:
    """Processor seconds for a fixed amount of work, some frames deep, that lets other tasks run now and then."""
    if depth:
        return await work(rounds, depth - 1)
    began = time.process_time()
    for _ in range(rounds):
        sorted(str(number) for number in range(200))
        await trio.lowlevel.checkpoint()
    return time.process_time() - began


async def main(turns: int, rounds: int, interval: float) -> None:
    without, during, own = [], [], []
    for _ in range(turns):
        without.append(await work(rounds))
        async with trio.open_nursery() as nursery:
            profiler = StackProfiler()
            nursery.start_soon(profiler.record, 300, interval)
            await trio.testing.wait_all_tasks_blocked()
            during.append(await work(rounds))
            nursery.cancel_scope.cancel()
        profile = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, rounds)
            profile = await profiler.record(0.5, interval)
        own.append(profile.overhead)
    ratios = [after / before - 1 for before, after in zip(without, during, strict=True)]
    print(f"every {interval * 1000:g} ms, {statistics.median(without):.2f} s of work, {turns} turns:")
    print(
        f"  processor time with / without: {statistics.median(ratios):+.2%}",
        f"(best {min(ratios):+.2%}, worst {max(ratios):+.2%})",
    )
    print(f"  fastest with / fastest without: {min(during) / min(without) - 1:+.2%}")
    print(f"  looking, by the profile itself: {statistics.median(own):.2%} of the processor time")
    began = time.perf_counter()
    for _ in range(1000):
        cpu_times()
    print(f"CPU samples: {(time.perf_counter() - began) / 1000 / INTERVAL:.5%} of a core")


if __name__ == "__main__":
    import trio.testing

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--interval", type=float, default=0.01)
    options = parser.parse_args()
    trio.run(main, options.turns, options.rounds, options.interval)
