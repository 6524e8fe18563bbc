"""Measures the disk tier with 1 000 and with 1 000 000 entries: `python tests/system/measure_disk.py FOLDER [COUNT]`.

Prints the time of a get and of a put in both files and their ratio, of opening both, of purges with
a request waiting meanwhile, and the longest that the janitor held the connection. Beside the longest hold of each
kind stands how much of it the thread ran, and on Linux how much it waited for a CPU: the rest it waited for the disk or
for the interpreter. At last comes the longest sync of a small file of its own on the same disk, by a process beside
this one: it tells what the disk does whoever asks.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import trio
import trio_asyncio

from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers import disk_file
from gateway.tiers.disk import DiskTier, open_disk
from gateway.tiers.disk_batch import Job, Kind, do_batch
from gateway.tiers.disk_store import Store
from gateway.watch.janitor import Janitor

_PAYLOAD = random.Random(0).randbytes(600)
_ROUNDS = 5
_CALLS = 400


def entry(number: int) -> Entry:
    now = time.time()
    return Entry(_PAYLOAD, now, now + 86400, stale_if_error=3600, tags=(f"component:{number % 1000}", "package"))


@asynccontextmanager
async def opened(path: Path, clock: Clock) -> AsyncIterator[DiskTier]:
    section = DiskSection.model_validate({"path": str(path), "max_size": "20GB", "ttl": "1d"})
    begin = time.perf_counter()
    async with open_disk(section, clock) as disk, trio.open_nursery() as services:
        await services.start(disk.run)
        print(f"  opened {path.name} in {(time.perf_counter() - begin) * 1e3:.1f} ms", flush=True)
        yield disk
        services.cancel_scope.cancel()


async def fill(disk: DiskTier, count: int) -> None:
    for start in range(0, count, 2000):
        await disk.put({f"key:{number:x}": entry(number) for number in range(start, min(count, start + 2000))})


async def timed(call: Callable[[int], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    for number in range(_CALLS):
        await call(number)
    return (time.perf_counter() - begin) / _CALLS * 1e6


async def get(disk: DiskTier, count: int, number: int) -> None:
    assert await disk.get(f"key:{random.randrange(count):x}") is not None


async def put(disk: DiskTier, count: int, number: int) -> None:
    await disk.put({f"new:{random.randrange(count):x}": entry(number)})


async def get_many(disk: DiskTier, count: int, number: int) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(get, disk, count, number)


async def longest_wait(disk: DiskTier, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """How long `work` took, and the longest that a get took meanwhile."""
    waits = [0.0]
    begin = time.perf_counter()
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            while True:
                start = time.perf_counter()
                await disk.get("key:0")  # what can't be there is not asked of the file
                waits.append(time.perf_counter() - start)

        nursery.start_soon(ask)
        await work()
        took = time.perf_counter() - begin
        nursery.cancel_scope.cancel()
    print(f"    waits in ms: median {statistics.median(waits) * 1e3:.2f}, longest {max(waits) * 1e3:.1f}", flush=True)
    return took, max(waits)


async def main(folder: Path, large: int) -> None:
    sizes = {"small": 1000, "large": large}
    async with trio_asyncio.open_loop():
        clock = Clock()
        for name, count in sizes.items():
            if not (folder / name).exists():
                async with opened(folder / name, clock) as disk:
                    begin = time.perf_counter()
                    await fill(disk, count)
                    print(f"  filled {count} in {time.perf_counter() - begin:.1f} s, {disk.statistics()}", flush=True)
        async with opened(folder / "empty", clock):
            pass
        async with opened(folder / "small", clock) as small, opened(folder / "large", clock) as big:
            tiers = {"small": small, "large": big}
            for what in (get, put, get_many):
                times: dict[str, list[float]] = {name: [] for name in tiers}
                for _ in range(_ROUNDS):
                    for name, disk in tiers.items():
                        times[name].append(await timed(partial(what, disk, sizes[name])))
                least = {name: statistics.median(found) for name, found in times.items()}
                print(f"{what.__name__}: {least} us, ratio {least['large'] / least['small']:.2f}", flush=True)
            for selector in (Selector("tag", "component:7"), Selector("glob", "*ff7"), Selector("all")):
                took, _ = await longest_wait(big, partial(big.purge, selector))
                print(f"purge {selector.kind} {took * 1e3:.1f} ms", flush=True)
            with synced_elsewhere(folder / "elsewhere"):
                took, _ = await longest_wait(big, Janitor(big, 1.0).clean_up)
            print(f"clean up {took:.1f} s", big.statistics())


class Holds:
    """The longest holds of the connection, by what held it."""

    def __init__(self) -> None:
        self._longest: dict[str, tuple[float, ...]] = {}

    def do_batch(self, store: Store, kind: Kind, jobs: Sequence[Job], now: float) -> None:
        """Do what the real one does, and measure it."""
        before = time.perf_counter(), time.thread_time(), waited_for_cpu()
        try:
            do_batch(store, kind, jobs, now)
        finally:
            after = time.perf_counter(), time.thread_time(), waited_for_cpu()
            took = tuple((end - begin) * 1e3 for begin, end in zip(before, after, strict=True))
            name = kind.value
            if kind in (Kind.CHORE, Kind.MOVE):
                work = getattr(jobs[0].work, "func", jobs[0].work)
                name = f"{kind.value} {getattr(work, '__name__', type(work).__name__)}"
            self._longest[name] = max(self._longest.get(name, took), took)

    def tell(self) -> None:
        for name, (wall, ran, waited) in self._longest.items():
            print(f"  {name}: longest {wall:.1f} ms, of which it ran {ran:.1f} and waited for a CPU {waited:.1f}")


def waited_for_cpu() -> float:
    """Seconds for which this thread was ready to run and did not (proc(5), schedstat); 0 where nobody counts them."""
    try:
        about = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_bytes()
        return int(about.split()[1]) / 1e9
    except OSError:
        return 0.0


@contextmanager
def synced_elsewhere(path: Path) -> Iterator[None]:
    """Meanwhile another process writes and syncs a small file again and again; tells how long that took."""
    anew = multiprocessing.get_context("spawn")
    stop = anew.Event()
    process = anew.Process(target=sync_again_and_again, args=(path, stop))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join()


def sync_again_and_again(path: Path, stop: Event) -> None:
    took = []
    with path.open("wb") as file:
        while not stop.is_set():
            file.seek(0)
            file.write(random.randbytes(4096))
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - begin) * 1e3)
            time.sleep(0.05)
    path.unlink()
    print(f"    a sync elsewhere: median {statistics.median(took):.1f} ms, longest {max(took):.1f} ms", flush=True)


if __name__ == "__main__":
    holds = Holds()
    vars(disk_file)["do_batch"] = holds.do_batch
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 1_000_000)
    holds.tell()
