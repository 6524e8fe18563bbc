from __future__ import annotations

import trio
import trio.testing

from gateway.errors import TierError, UpstreamUnavailable
from gateway.upstream.model import JSON, Fetched, Validators, Wanted
from gateway.upstream.versions import SemanticReleases
from gateway.watch.folders import FolderWatch


class Listed:
    """A folder's upstream as the watch sees it: a list of files that a test sets, or a failure."""

    name = "docs"
    identity = "1"
    policies = ()

    def __init__(self) -> None:
        self.files: bytes | None = b"a"

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        await trio.lowlevel.checkpoint()
        if self.files is None:
            raise UpstreamUnavailable("docs", "the folder is not there")
        return Fetched(self.files, JSON)

    def releases(self, listing: bytes) -> SemanticReleases:
        raise AssertionError


async def test_a_change_is_noticed_once(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    """The first look learns what is there, and a folder that is away for a while is no change."""
    told: list[str] = []

    async def changed(upstream: str) -> None:
        told.append(upstream)

    folder = Listed()
    await nursery.start(FolderWatch(folder, 2.0, changed).run)
    await trio.sleep(5)
    assert told == []
    folder.files = b"b"
    await trio.sleep(5)
    assert told == ["docs"]
    folder.files = None
    await trio.sleep(5)
    folder.files = b"b"
    await trio.sleep(5)
    assert told == ["docs"]


async def test_what_could_not_be_made_stale_is_made_so_later(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """A failed purge, and a mistake of ours, are tried again at the next look."""
    failures = [TierError("disk: full"), ZeroDivisionError()]
    told: list[str] = []

    async def changed(upstream: str) -> None:
        if failures:
            raise failures.pop()
        told.append(upstream)

    folder = Listed()
    await nursery.start(FolderWatch(folder, 2.0, changed).run)
    await trio.sleep(1)
    folder.files = b"b"
    await trio.sleep(10)
    assert told == ["docs"]


async def test_a_folder_that_was_not_seen_before_anything_was_served(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """What was made of it meanwhile may be older than what is seen first. One that hangs holds up nobody."""
    told: list[str] = []

    async def changed(upstream: str) -> None:
        told.append(upstream)

    class Hanging(Listed):
        async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
            if self.files == b"hanging":
                await trio.sleep_forever()
            return await super().fetch(wanted, validators)

    for first in (None, b"hanging"):
        folder = Hanging()
        folder.files = first
        began = trio.current_time()
        await nursery.start(FolderWatch(folder, 2.0, changed).run)
        assert trio.current_time() - began < 2
        folder.files = b"a"
        await trio.sleep(5)
        assert told == ["docs"]
        told.clear()


async def test_a_watch_that_follows_one_that_saw_nothing(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """After a reload, too, what was made of the folder meanwhile may be older than what is seen first."""
    told: list[str] = []
    seen: dict[str, bytes] = {}

    async def changed(upstream: str) -> None:
        told.append(upstream)

    folder = Listed()
    folder.files = None
    async with trio.open_nursery() as before:
        await before.start(FolderWatch(folder, 2.0, changed, seen).run)
        before.cancel_scope.cancel()
    folder.files = b"a"
    await nursery.start(FolderWatch(folder, 2.0, changed, seen).run)
    assert told == ["docs"]


async def test_a_change_right_after_the_start(nursery: trio.Nursery) -> None:
    """The first look is over by then."""
    told = trio.Event()

    async def changed(upstream: str) -> None:
        told.set()

    folder = Listed()
    await nursery.start(FolderWatch(folder, 0.01, changed).run)
    folder.files = b"b"
    with trio.fail_after(10):
        await told.wait()
