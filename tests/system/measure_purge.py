"""How soon a purge by one instance is heard by the others: `python -m tests.system.measure_purge`, on an idle machine.

From sending the purge to one instance until the last other one has made its answer anew: its own HTTP answer, and a
load of each, are in it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import trio

from tests.system.fleet import Fleet, fleet

ROUNDS = 10


async def once(gateways: Fleet) -> float:
    """Seconds of one purge."""
    before = max(gateways.upstream.asked.values())

    async def until_anew(number: int) -> None:
        while await gateways.ask(number, "a") <= before:
            pass

    began = perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: gateways.purge(0, tag="upstream:api"))
        for number in (1, 2):
            nursery.start_soon(until_anew, number)
    return perf_counter() - began


async def measure() -> None:
    """Purge again and again, and print how long each took."""
    with tempfile.TemporaryDirectory() as name:
        async with trio.open_nursery() as nursery:
            async with fleet(Path(name), nursery) as gateways:
                gateways.upstream.offer("a")
                for number in range(3):
                    await gateways.ask(number, "a")
                took = [await once(gateways) * 1000 for _ in range(ROUNDS)]
            nursery.cancel_scope.cancel()
    print(f"a purge over three instances, ms: {', '.join(f'{each:.0f}' for each in took)}; longest {max(took):.0f}")


if __name__ == "__main__":
    trio.run(measure)
