from __future__ import annotations

import trio
import trio.testing

from gateway.watch.changes import Changes


async def test_every_subscriber_gets_to_know(autojump_clock: trio.testing.MockClock) -> None:
    """Each has what it has not seen yet, all of it at once."""
    changes = Changes()
    with changes.subscribe() as first, changes.subscribe() as second:
        changes.announce("a")
        changes.announce("b")
        changes.announce("a")
        for subscription in (first, second):
            assert await subscription.wait_changed() == {"a", "b"}
            with trio.move_on_after(1) as waiting:
                await subscription.wait_changed()
            assert waiting.cancelled_caught
        changes.announce("c")
        assert await first.wait_changed() == {"c"}
    changes.announce("d")
