"""Which entry a full memory tier gives up: the order of its entries, never the entries themselves.

Pure data structures, without a clock, a thread or a task: `policy` says what every algorithm offers, `lru` and
`adaptive` are the two of them; `queues`, `ring`, `ghosts` and `rehearsal` are what `adaptive` is made of.
"""

from __future__ import annotations

from gateway.tiers.eviction.adaptive import Adaptive
from gateway.tiers.eviction.lru import Lru
from gateway.tiers.eviction.policy import EvictionPolicy, EvictionStatistics, Node

__all__ = ["Adaptive", "EvictionPolicy", "EvictionStatistics", "Lru", "Node"]
