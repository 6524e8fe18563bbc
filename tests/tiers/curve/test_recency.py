from __future__ import annotations

from gateway.tiers.curve import Recency, TwinNode


def node(key: str, now: float, priority: int = 1) -> TwinNode:
    return TwinNode(key, 1, priority, 1e9, now)


def admitted(order: Recency, *nodes: TwinNode) -> None:
    for each in nodes:
        order.admit(each)


def test_a_read_renews_only_what_was_not_used_for_a_while() -> None:
    """Within a minute of its last use a read changes nothing, later it does."""
    order = Recency(60.0)
    old, new = node("old", 0.0), node("new", 10.0)
    admitted(order, old, new)
    old.now = 59.0
    order.hit(old)
    assert order.victim() is old
    admitted(order, old)
    new.now = 100.0
    order.hit(new)
    assert order.victim() is old


def test_low_priority_goes_first() -> None:
    """A lower priority goes before a higher one, even if it was used last."""
    order = Recency(60.0)
    high, low = node("high", 0.0, priority=2), node("low", 50.0, priority=0)
    admitted(order, high, low)
    assert order.victim() is low


def test_a_write_is_a_use() -> None:
    """What is written again goes last."""
    order = Recency(60.0)
    first, second = node("first", 0.0), node("second", 1.0)
    admitted(order, first, second)
    first.now = 2.0
    order.update(first, 5, 1)
    assert order.victim() is second
    assert order.statistics().cost == 5
