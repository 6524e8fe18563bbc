"""The processes that `test_disk_crash.py` kills: they write and purge, and say on stdout what is acknowledged.

`python disk_child.py FILE`. For each line of stdin, which is a seed, a process is forked: that is faster than starting
one. Each line of stdout is JSON: what is about to happen, and again once it has.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time

import structlog
import trio
import trio_asyncio

from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers.disk import DiskTier, open_disk
from gateway.watch.janitor import Janitor

KEYS = 12


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def tags_of(number: int) -> tuple[str, ...]:
    return (f"t{number % 3}", "every")


async def work(disk: DiskTier, seed: int) -> None:
    draw = random.Random(seed)
    count = 0
    while True:
        count += 1
        number = draw.randrange(KEYS)
        if draw.random() < 0.7:
            now = time.time()
            value = f"{number}:{seed}:{count}:".encode().ljust(draw.choice((30, 3000, 40_000)), b"x")
            entry = Entry(value, now, now + 3000, stale_if_error=1000, tags=tags_of(number))
            say(do="put", key=f"k:{number}", seed=seed, count=count)
            await disk.put({f"k:{number}": entry})
            say(done="put")
            continue
        kind = draw.choice(("key", "tag", "glob", "all"))
        selector = {"key": f"k:{number}", "tag": f"t{number % 3}", "glob": f"*:{number}*", "all": ""}[kind]
        soft = draw.random() < 0.3
        say(do="purge", kind=kind, value=selector, soft=soft)
        await disk.purge(Selector(kind, selector), soft=soft)  # type: ignore[arg-type]
        say(done="purge")


async def main(path: str, seed: int) -> None:
    section = DiskSection.model_validate({"path": path, "compression_threshold": "1GB"})
    async with (
        trio_asyncio.open_loop(),
        open_disk(section, Clock()) as disk,
        trio.open_nursery() as services,
    ):
        await services.start(disk.run)
        await services.start(Janitor(disk, 0.001).run)
        await work(disk, seed)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            trio.run(main, sys.argv[1], int(line))
        say(child=child)
        os.waitpid(child, 0)
        say(ended=True)
