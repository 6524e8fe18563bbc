from __future__ import annotations

import trio
import trio.testing

from gateway.watch.changes import Changes


async def test_every_subscriber_gets_to_know(autojump_clock: trio.testing.MockClock) -> None:
    """Each has a channel of its own, and announcements that it has not seen yet are one."""
    changes = Changes()
    with changes.subscribe() as first, changes.subscribe() as second:
        changes.announce()
        changes.announce()
        for channel in (first, second):
            await channel.receive()
            with trio.move_on_after(1) as waiting:
                await channel.receive()
            assert waiting.cancelled_caught
    changes.announce()
