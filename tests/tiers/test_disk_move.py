from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog.testing
import trio
import trio.lowlevel

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from gateway.tiers import disk_move
from gateway.tiers.codec import Codec
from gateway.tiers.disk_batch import Job, Kind, do_batch
from gateway.tiers.disk_entries import purge, put
from gateway.tiers.disk_store import Store
from gateway.tiers.disk_upkeep import begin_wal, copy_wal
from gateway.tiers.schema import open_file
from tests.tiers.power_loss import NOW, Disk, entry, write
from tests.tiers.rig import opened, set_aside


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on a file, without a tier around it."""
    made = Store(tmp_path / "cache.db", Codec(1 << 20, 0.0), ttl=1000.0, max_size=1 << 30)
    connection, purges = open_file(made.path, NOW)
    made.reopen(connection, purges)
    yield made
    connection.close()
    made.move.close()


@pytest.mark.parametrize("seed", range(4))
def test_no_power_loss_damages_what_is_moved(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """At no moment of a move, nor before the next one, does it matter which sectors the disk has written."""
    draw = random.Random(seed)
    write_first = Disk(store, tmp_path, draw)
    write(write_first, draw, 12)
    disk = Disk(store, tmp_path, draw)
    monkeypatch.setattr(disk_move, "_SYNC", disk.sync)
    for turn in range(8):
        write(disk, draw, draw.randrange(8))
        tag = Selector("tag", f"t{turn % 5}")
        disk.commit(lambda store, tag=tag: purge(store, tag, soft=False), durable=True)  # type: ignore[misc]
        store.move.sync_wal()
        write(disk, draw, draw.randrange(3))
        while not copy_wal(store):
            store.move.sync_wal()
        begin_wal(store, cut=turn % 4 == 3)  # each syncs what is due, when no other thread has
        write(disk, draw, 2)
    disk.lose_power()
    assert disk.losses > 100


def test_the_wal_is_begun_anew_with_one_frame(store: Store) -> None:
    """With a second one before the header is synced, a power loss could leave the beginning of the older frames."""
    do_batch(store, Kind.CHANGE, [Job(Kind.CHANGE, partial(put, entries={"k": entry(b"x" * 20_000)}))], NOW)
    store.move.sync_wal()
    assert copy_wal(store)
    begin_wal(store, cut=False)
    data = store.wal.read_bytes()
    salts, size = data[16:24], 24 + 4096
    assert [data[start + 8 : start + 16] == salts for start in range(32, len(data), size)][:2] == [True, False]


async def test_no_job_of_a_move_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite is told not to, for as long as it copies and begins anew; other threads do it in between.

    There is nothing left to sync when the WAL is cut.
    """
    said: list[str] = []
    syncing: list[int] = []

    def sync(descriptor: int) -> None:
        said.append("sync")
        syncing.append(threading.get_ident())
        os.fsync(descriptor)

    monkeypatch.setattr(disk_move, "_SYNC", sync)
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry(b"x" * 900) for number in range(2000)})
        connections_thread = await disk.do(Kind.READ, lambda store: threading.get_ident())
        await disk.do(Kind.READ, lambda store: store.connection.set_trace_callback(said.append))
        await disk.finish_chores()
    words = [word.removeprefix("PRAGMA ") for word in said]
    assert [word for word in words if word.startswith(("sync", "wal_checkpoint", "user_version ="))] == [
        *("sync", "synchronous = OFF", "wal_checkpoint(PASSIVE)", "synchronous = NORMAL"),
        *("sync", "wal_checkpoint(TRUNCATE)", "synchronous = OFF", "user_version = 2", "synchronous = NORMAL", "sync"),
    ]
    assert connections_thread not in syncing


async def test_reads_are_served_while_a_move_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes; a write waits until the move is done, since it would have to wait for the disk."""
    slow = threading.Event()
    async with opened(tmp_path / "cache.db") as disk, trio.open_nursery() as nursery:
        await disk.put({f"k{number}": entry(b"x" * 900) for number in range(2000)})
        monkeypatch.setattr(disk_move, "_SYNC", lambda _: slow.wait(60))
        nursery.start_soon(disk.finish_chores)
        for _ in range(50):
            assert await disk.get("k1") is not None
        written = trio.Event()

        async def write() -> None:
            await disk.put({"new": entry()})
            written.set()

        with disk._queue.writes_held_back():
            nursery.start_soon(write)
            for _ in range(50):
                assert await disk.get("new") is None
            assert not written.is_set()
        slow.set()
        await written.wait()
        assert await disk.get("new") is not None


def test_a_write_between_two_steps_syncs_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was copied is on the disk before the WAL can be written over, also when the move was given up."""
    synced: list[int] = []
    store.move.sync_wal()
    monkeypatch.setattr(disk_move, "_SYNC", synced.append)
    assert copy_wal(store)
    assert synced == []
    do_batch(store, Kind.CHANGE, [Job(Kind.CHANGE, partial(put, entries={"k": entry()}))], NOW)
    assert len(synced) == 1
    assert not copy_wal(store), "what was written since is not synced"


def test_what_was_synced_of_one_file_says_nothing_about_another(store: Store) -> None:
    """A damaged file may be set aside while another thread syncs it."""
    store.move.sync_wal()
    store.move.open(store.connection)
    assert not copy_wal(store)
    store.move.sync_wal()
    assert copy_wal(store)


async def test_a_file_that_can_not_be_synced_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what of it is on the disk: the next sync would succeed."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({f"k{number}": entry(b"x" * 900) for number in range(2000)})
        monkeypatch.setattr(disk_move, "_SYNC", fail)
        with structlog.testing.capture_logs() as logs, pytest.raises(TierError, match="it could not be synced"):
            await disk.finish_chores()
        monkeypatch.undo()
        assert await disk.get("k1") is None
        await disk.put({"k1": entry()})
        assert await disk.get("k1") is not None
    assert [line["error"] for line in logs if line["event"] == "cache file not synced"] == ["Input/output error"]
    assert len(set_aside(tmp_path)) == 1


async def test_a_file_that_can_not_be_synced_when_it_is_closed_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its WAL, from which SQLite could make it whole again, is gone."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"k": entry()})
        await disk.do(Kind.MOVE, lambda store: store.move.sync_wal())
        assert await disk.do(Kind.MOVE, copy_wal)
        monkeypatch.setattr(disk_move, "_SYNC", fail)
    assert len(set_aside(tmp_path)) == 1
    assert not (tmp_path / "cache.db").exists()


async def test_closing_syncs_what_a_move_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last connection deletes the WAL."""
    async with opened(tmp_path / "cache.db") as disk:
        await disk.put({"k": entry()})
        await disk.do(Kind.MOVE, lambda store: store.move.sync_wal())
        assert await disk.do(Kind.MOVE, copy_wal)
        synced: list[int] = []
        monkeypatch.setattr(disk_move, "_SYNC", synced.append)
    assert len(synced) == 1
