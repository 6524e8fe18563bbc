"""Real traces: `adaptive` against the best of LRU, SIEVE, S3-FIFO and W-TinyLFU."""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

import pytest

from gateway.tiers.eviction import Adaptive, Node

TRACES = Path(__file__).parents[3] / "shared" / "traces"

BEST = [
    ("web12", 500, 0.6031),
    ("web12", 1000, 0.6863),
    ("web12", 3000, 0.7818),
    ("multi3", 600, 0.4523),
    ("multi3", 1000, 0.5113),
    ("sprite", 200, 0.4849),
    ("sprite", 600, 0.8323),
    ("orm-busy", 500, 0.7116),
    ("orm-busy", 2000, 0.8218),
]
"""The best of the four, from the table beside the traces."""


@cache
def requests(trace: str) -> list[str]:
    return lzma.decompress((TRACES / f"{trace}.txt.xz").read_bytes()).decode().split()


@pytest.mark.skipif(not TRACES.is_dir(), reason="the traces lie beside the repository, in ../shared/traces; not found")
@pytest.mark.parametrize(("trace", "entries", "best"), BEST)
def test_hit_ratio(trace: str, entries: int, best: float) -> None:
    """At least the best of the four minus 0.01."""
    policy: Adaptive[Node] = Adaptive(entries, 10**9)
    nodes: dict[str, Node] = {}
    hits = 0
    for key in requests(trace):
        node = nodes.get(key)
        if node is not None:
            hits += 1
            policy.hit(node)
            continue
        node = nodes[key] = Node(key, cost=1, priority=1)
        policy.admit(node)
        while len(nodes) > entries:
            del nodes[policy.victim().key]
    assert hits / len(requests(trace)) >= best - 0.01
