from __future__ import annotations

from pathlib import Path

import pytest
import trio

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry, Outcome, Priority
from gateway.tiers.disk_export import Imported, export, import_
from gateway.tiers.disk_inspect import list_entries
from tests.tiers.rig import Wall, make_damaged, opened

NOW = 2e9
KEPT = {
    "plain": Entry(
        b"payload", NOW, NOW + 1000, 50, 500, ("a", "é"), Priority.HIGH, etag='"x"', media_type="text/plain"
    ),
    "large": Entry(b"x" * 500_000, NOW - 100, NOW + 10),
    "stale": Entry(b"stale", NOW - 1000, NOW - 10, stale_if_error=1000, last_modified="then"),
    "none": Entry(b"no such thing", NOW, NOW + 30, priority=Priority.LOW, outcome=Outcome.NOT_FOUND),
    "": Entry(b"", NOW, NOW + 60),
}


async def exported(tmp_path: Path, entries: dict[str, Entry] = KEPT) -> Path:
    async with opened(tmp_path / "from.db", Clock(Wall(NOW))) as disk:
        await disk.put(entries)
        assert await export(disk, tmp_path / "cache.export") == len(entries)
    return tmp_path / "cache.export"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def imported(tmp_path: Path, wall: Wall, source: Path) -> tuple[Imported, dict[str, Entry]]:
    async with opened(tmp_path / "to.db", Clock(wall)) as disk:
        outcome = await import_(disk, source)
        return outcome, {listing.key: listing.entry for listing in await list_entries(disk)}


async def test_a_warm_cache_moves_to_another_machine(tmp_path: Path) -> None:
    """With freshness, tags, priority, outcome and validators; and tags select there, too."""
    source = await exported(tmp_path)
    outcome, found = await imported(tmp_path, Wall(NOW + 1), source)
    assert outcome == Imported(len(KEPT), 0, 0, 0)
    assert found == KEPT
    async with opened(tmp_path / "to.db", Clock(Wall(NOW + 1))) as disk:
        assert await disk.purge(Selector("tag", "é")) == 1
    assert names_in(tmp_path) == ["cache.export", "from.db", "to.db"]


async def test_many_entries_go_in_several_parts(tmp_path: Path) -> None:
    """More than are read or written at once."""
    many = {f"k{number}": Entry(b"%d" % number, NOW, NOW + 100) for number in range(777)}
    outcome, _ = await imported(tmp_path, Wall(NOW), await exported(tmp_path, many))
    assert outcome.imported == 777


async def test_what_expired_on_the_way_is_left_out(tmp_path: Path) -> None:
    """Nobody may use it any more."""
    outcome, found = await imported(tmp_path, Wall(NOW + 200), await exported(tmp_path))
    assert outcome == Imported(2, 3, 0, 0)
    assert found.keys() == {"plain", "stale"}


async def test_an_import_does_not_replace_what_is_newer(tmp_path: Path) -> None:
    """Importing twice changes nothing, and a fresher answer stays."""
    source = await exported(tmp_path)
    newer = KEPT["plain"].but(stored_at=NOW + 5, payload=b"newer")
    async with opened(tmp_path / "to.db", Clock(Wall(NOW + 6))) as disk:
        await disk.put({"plain": newer})
        assert await import_(disk, source) == Imported(4, 0, 0, 1)
        assert await import_(disk, source) == Imported(0, 0, 0, 5)
        assert await disk.get("plain") == newer


@pytest.mark.parametrize("behind", [1.0, 30.0, 3600.0])
async def test_a_clock_that_is_behind_makes_nothing_fresher(tmp_path: Path, behind: float) -> None:
    """What remains is at most what remained at the export; what seems to come from the future is left out."""
    source = await exported(tmp_path)
    clock = Clock(Wall(NOW - behind))
    async with opened(tmp_path / "to.db", clock) as disk:
        outcome = await import_(disk, source)
        now = clock()
        found = {listing.key: listing.entry for listing in await list_entries(disk)}
    assert (outcome.from_the_future > 0) == (behind > 2)
    for key, entry in found.items():
        assert entry.fresh_until - now <= KEPT[key].fresh_until - NOW
        assert entry.usable_until - now <= KEPT[key].usable_until - NOW
        assert entry.stored_at <= now


async def test_an_import_lives_no_longer_than_the_tier_allows(tmp_path: Path) -> None:
    """What never changes is fresh for what was left of it, not for the tier's ttl once more."""
    forever = Entry(b"x", NOW, float("inf"), immutable=True)
    source = await exported(tmp_path, {"a": forever})
    _, found = await imported(tmp_path, Wall(NOW + 3000), source)
    assert found["a"].fresh_until == pytest.approx(NOW + 3600, abs=1)


async def test_purged_entries_are_not_exported(tmp_path: Path) -> None:
    """Neither those whose rows are still there; a softly purged one is exported as stale."""
    async with opened(tmp_path / "from.db", Clock(Wall(NOW))) as disk:
        await disk.put({"gone": KEPT["plain"]})
        await disk.purge(Selector("all"))
        await disk.put({"soft": KEPT["plain"]})
        await disk.purge(Selector("tag", "a"), soft=True)
        assert await export(disk, tmp_path / "cache.export") == 1
    _, found = await imported(tmp_path, Wall(NOW + 1), tmp_path / "cache.export")
    assert found["soft"].fresh_until < NOW + 1


async def test_a_truncated_file_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    """The sentence says so, and nothing is imported."""
    small = {"a": Entry(b"x", NOW, NOW + 100, tags=("t",)), "b": Entry(b"y", NOW, NOW + 100)}
    content = (await exported(tmp_path, small)).read_bytes()
    cut = tmp_path / "cut"
    async with opened(tmp_path / "to.db", Clock(Wall(NOW))) as disk:
        for length in range(len(content)):
            cut.write_bytes(content[:length])
            with pytest.raises(TierError, match=r"cut: it is (truncated|not a cache|damaged).*nothing was imported"):
                await import_(disk, cut)
        assert disk.statistics().entries == 0


async def test_a_changed_byte_anywhere_is_refused(tmp_path: Path) -> None:
    """Header, rows, trailer and digest alike."""
    content = (await exported(tmp_path, {"a": Entry(b"x", NOW, NOW + 100, tags=("t",))})).read_bytes()
    changed = tmp_path / "changed"
    async with opened(tmp_path / "to.db", Clock(Wall(NOW))) as disk:
        for position in range(len(content)):
            changed.write_bytes(content[:position] + bytes([content[position] ^ 0x41]) + content[position + 1 :])
            with pytest.raises(TierError, match="nothing was imported"):
                await import_(disk, changed)
        changed.write_bytes(content + b"more")
        with pytest.raises(TierError, match="nothing was imported"):
            await import_(disk, changed)
        assert disk.statistics().entries == 0


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 something else", b"gateway cache export 2\n", b"SQLite format 3\x00"]
)
async def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is said what was expected."""
    (tmp_path / "foreign").write_bytes(content)
    with pytest.RaisesGroup(
        pytest.RaisesExc(TierError, match="not a cache export of this version of the gateway; nothing was imported"),
        flatten_subgroups=True,
    ):
        await imported(tmp_path, Wall(NOW), tmp_path / "foreign")


async def test_a_file_that_is_not_there_or_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    """With the path in it."""
    async with opened(tmp_path / "to.db", Clock(Wall(NOW))) as disk:
        with pytest.raises(TierError, match=r"can't import .*nothing-there: No such file"):
            await import_(disk, tmp_path / "nothing-there")
        with pytest.raises(TierError, match=r"can't write .*export: No such file"):
            await export(disk, tmp_path / "no folder" / "export")


async def test_half_of_a_damaged_file_is_no_export(tmp_path: Path) -> None:
    """A file that turns out to be damaged half way ends the export: what there is would look like all of it."""
    await make_damaged(tmp_path / "cache.db")
    async with opened(tmp_path / "cache.db") as disk:
        with pytest.raises(TierError, match="turned out to be damaged, and was set aside"):
            await export(disk, tmp_path / "cache.export")
    assert not (tmp_path / "cache.export").exists()


@pytest.mark.parametrize("selector", [Selector("all"), Selector("key", "k999")], ids=str)
async def test_a_purge_ends_an_import(tmp_path: Path, selector: Selector) -> None:
    """What was purged is not brought back by an import that began before that."""
    large = Entry(b"x" * 10_000, NOW, NOW + 1000)
    source = await exported(tmp_path, {f"k{number}": large for number in range(1000)})
    async with opened(tmp_path / "to.db", Clock(Wall(NOW))) as disk:

        async def bring() -> None:
            with pytest.raises(TierError, match="the cache was purged during the import; the rest was not imported"):
                await import_(disk, source)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bring)
            while not await list_entries(disk):
                pass
            await disk.purge(selector)
        left = [listing.key for listing in await list_entries(disk)]
        assert [key for key in left if selector.matches(key, ())] == []
