"""Measures what recording costs where an answer is in memory: `python tests/telemetry/measure_recording.py`.

Prints nanoseconds of noting a request's end, of timing the tier, and of both, and their share of a hit of the
catalogue; the same run measures all of them, so that the ratio holds on any machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import trio

from gateway.telemetry.histogram import Histogram
from gateway.telemetry.requests import Requests
from gateway.telemetry.telemetry import Telemetry
from tests.catalogue.rig import open_rig
from tests.fakes.upstream import FakeUpstream

_TIMES = 5_000
_ROUNDS = 40
_TOOL = """
[tools.item]
description = "An item."
strategy = "s"
[tools.item.input.properties]
number = { type = "integer" }
[tools.item.fetch]
upstream = "api"
path = "items/{number}"
"""


def _nanoseconds(measured: Callable[[], None], empty: Callable[[], None]) -> float:
    """The least of a call, which nothing else on the machine disturbed, without that of a call that does nothing."""

    def one(call: Callable[[], None]) -> float:
        began = perf_counter()
        for _ in range(_TIMES):
            call()
        return (perf_counter() - began) / _TIMES * 1e9

    return min(one(measured) for _ in range(_ROUNDS)) - min(one(empty) for _ in range(_ROUNDS))


def _nothing() -> None:
    pass


def recording() -> tuple[float, float]:
    """Of a request's end with its two looks at the clock, and of a read of the memory tier with its two."""
    requests, histogram = Requests(Telemetry(), sample=0.0, slow=1.0), Histogram()

    def request() -> None:
        began = perf_counter()
        requests.ended("tool", "item", "s", "memory", "hit", perf_counter() - began)

    def tier() -> None:
        began = perf_counter()
        histogram.record(perf_counter() - began)

    return _nanoseconds(request, _nothing), _nanoseconds(tier, _nothing)


async def hit(folder: Path) -> float:
    """Nanoseconds of a call that is answered from memory."""
    upstream = FakeUpstream(otherwise=b'{"a": 1}')
    async with open_rig(folder, _TOOL, api=upstream) as rig:
        times = []
        for _ in range(_ROUNDS):
            began = perf_counter()
            for _ in range(200):
                await rig.catalogue.call("item", {"number": 1})
            times.append((perf_counter() - began) / 200 * 1e9)
    return min(times)


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        whole = trio.run(hit, Path(folder))
    request, tier = recording()
    print(f"a hit of the catalogue            {whole:8.0f} ns")
    print(f"noting a request                  {request:8.0f} ns")
    print(f"timing the memory tier            {tier:8.0f} ns")
    print(f"recording, in all                 {request + tier:8.0f} ns, {(request + tier) / whole:.1%} of a hit")


if __name__ == "__main__":
    main()
