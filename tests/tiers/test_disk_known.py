"""What the file can't have is not looked for in it, and nothing that it has is missed."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.invalidation import Selector
from gateway.tiers.disk import DiskTier
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_export import export, import_
from gateway.tiers.disk_known import KeyFilter, KnownKeys
from tests.tiers.rig import crashed, entry, opened


async def asked(disk: DiskTier, *keys: str) -> list[str]:
    """Those of `keys` that the file is asked for; the others are answered without it."""
    statements: list[str] = []
    trace = statements.append
    await disk.do(Kind.READ, lambda store: store.connection.set_trace_callback(trace))
    for key in keys:
        await disk.get(key)
    await disk.do(Kind.READ, lambda store: store.connection.set_trace_callback(None))
    looked = [statement for statement in statements if "used_at, generation" in statement]
    return [key for key in keys if any(statement.endswith(f"'{key}'") for statement in looked)]


@given(st.lists(st.text()), st.integers(0, 1000))
def test_what_was_added_is_in(keys: list[str], room: int) -> None:
    """Whatever it is, and however many there are."""
    known = KeyFilter(room)
    for key in keys:
        known.add(key)
    assert all(key in known for key in keys)


def test_few_others_are_taken_for_it() -> None:
    """Where there are as many as there is room for; then it says that they are to be learnt anew."""
    known = KeyFilter(20_000)
    number = 0
    while known.room > 0:
        known.add(f"key {number}")
        number += 1
    assert number >= 20_000
    others = sum(f"other {each}" in known for each in range(20_000))
    assert others < 20_000 * 0.05


async def test_only_what_may_be_there_is_looked_for(tmp_path: Path) -> None:
    """Before the keys are learnt all is; then what was there before, what came since, and what comes meanwhile."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry() for number in range(2500)})
    async with opened(tmp_path / "cache.db") as disk:
        assert await asked(disk, "k1", "nothing") == ["k1", "nothing"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.learn_keys)
            nursery.start_soon(disk.put, {"meanwhile": entry(), "a": entry()})
        await disk.put({"since": entry()})
        keys = ("k0", "k2499", "meanwhile", "a", "since")
        assert await asked(disk, *keys, "nothing", "nothing else") == list(keys)
        assert await disk.get("k2499") is not None
        assert await disk.get("nothing") is None


async def test_after_a_purge_and_in_a_file_that_is_made_anew(tmp_path: Path) -> None:
    """What is put again is found again."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.learn_keys()
        await disk.put({"a": entry(b"1"), "b": entry(b"1")})
        await disk.purge(Selector("key", "a"))
        await disk.purge(Selector("all", ""))
        await disk.put({"a": entry(b"2")})
        found = await disk.get("a")
        assert found is not None
        assert found.payload == b"2"
        assert await disk.get("b") is None


async def test_what_is_imported_is_found(tmp_path: Path) -> None:
    """By a tier that knows its keys."""
    async with opened(tmp_path / "from.db") as disk:
        await disk.put({"imported": entry()})
        await export(disk, tmp_path / "export")
    async with opened(tmp_path / "to.db") as disk:
        await disk.learn_keys()
        assert await disk.get("imported") is None
        await import_(disk, tmp_path / "export")
        assert await disk.get("imported") is not None


async def test_it_is_learnt_anew_when_too_many_have_come_and_gone(tmp_path: Path) -> None:
    """Then what is no longer there is not looked for."""
    known = KnownKeys()
    assert known.due
    assert known.may_have("anything")
    with known.learning(0) as learning:
        learning.add("old")
        known.add(["meanwhile"])
        known.use(learning)
    assert not known.due
    assert known.may_have("old")
    assert known.may_have("meanwhile")
    number = 0
    while not known.due:
        known.add([f"key {number}"])
        number += 1
    with known.learning(number) as learning:
        learning.add("new")
        known.use(learning)
    assert not known.due
    assert not known.may_have("old")


async def test_what_waits_to_be_written_while_the_keys_are_learnt(tmp_path: Path) -> None:
    """It comes into the file after the last key was read, and is found."""
    async with opened(tmp_path / "cache.db") as disk, trio.open_nursery() as nursery:
        await disk.put({"there": entry()})
        with disk._queue.writes_held_back():
            nursery.start_soon(disk.put, {"held back": entry()})
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(disk.learn_keys)
            await trio.sleep(0.05)
        await disk.put({"later": entry()})
        await trio.testing.wait_all_tasks_blocked(0.05)
        for key in ("there", "held back", "later"):
            assert await disk.get(key) is not None
        assert await asked(disk, "nothing") == []


async def test_two_who_learn_at_once(tmp_path: Path) -> None:
    """Neither takes from the other."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry() for number in range(3000)})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.learn_keys)
            nursery.start_soon(disk.learn_keys)
        assert await asked(disk, "k0", "k2999", "nothing") == ["k0", "k2999"]


async def test_after_a_kill(tmp_path: Path) -> None:
    """The next process learns what the last one left."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.learn_keys()
        await disk.put({"left": entry()})
        left = crashed(tmp_path / "cache.db", tmp_path / "left.db")
    async with opened(left) as disk:
        await disk.learn_keys()
        assert await disk.get("left") is not None
        assert await asked(disk, "left", "nothing") == ["left"]
