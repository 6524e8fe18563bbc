"""The disk tier on the real file, with processes that are killed and bits that flip."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
import trio
import trio_asyncio

from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.tiers import DiskTier as DiskSection
from gateway.tiers import schema_damage
from gateway.tiers.disk import DiskTier, open_disk
from gateway.tiers.disk_batch import Kind
from gateway.tiers.disk_entries import purge
from tests.system.disk_child import KEYS, tags_of

KILLS = 300
FLIPS = 500
PARTS = 5
"""So many tests share the flips: a loaded machine takes a minute and more for all of them, and a test has two."""
CHILD = Path(__file__).with_name("disk_child.py")


@dataclass
class Expected:
    """What each key may hold: the beginning of its value and whether it is stale, or None."""

    keys: dict[str, set[tuple[str, bool] | None]] = field(
        default_factory=lambda: {f"k:{number}": {None} for number in range(KEYS)}
    )

    def happened(self, what: dict[str, object], *, surely: bool) -> None:
        """An operation was acknowledged, or, if not `surely`, may or may not have happened."""
        for key, before in self.keys.items():
            after = self._after(key, before, what)
            self.keys[key] = after if surely else before | after

    def _after(
        self, key: str, before: set[tuple[str, bool] | None], what: dict[str, object]
    ) -> set[tuple[str, bool] | None]:
        number = int(key.partition(":")[2])
        if what["do"] == "put":
            return {(f"{number}:{what['seed']}:{what['count']}:", False)} if what["key"] == key else before
        selector = Selector(what["kind"], str(what["value"]))  # type: ignore[arg-type]
        if not selector.matches(key, tags_of(number)):
            return before
        return {(held[0], True) if held and what["soft"] else None for held in before}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, if there is one: a kill leaves the same there, and no time goes into waiting for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def forks(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process that forks those that are killed."""
    command = [sys.executable, "-m", "tests.system.disk_child", str(folder / "cache.db")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHILD.parents[2], start_new_session=True
    ) as process:
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def run_and_kill(forks: subprocess.Popen[str], seed: int, lines: int, expected: Expected) -> None:
    """Let a process work until it has said so many lines, kill it, and learn from what it said."""
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write(f"{seed}\n")
    forks.stdin.flush()
    pid, pending, killed = 0, None, False
    said: list[dict[str, object]] = []
    while not (said and "ended" in said[-1]):
        line = forks.stdout.readline()
        assert line, "the process that forks has ended"
        said.append(json.loads(line))
        pid = int(str(said[-1].get("child", pid)))
        # It may have said so much before the one that forked it says who it is.
        if len(said) > lines and pid and not killed:
            os.kill(pid, signal.SIGKILL)
            killed = True
        if "do" in said[-1]:
            pending = said[-1]
        if "done" in said[-1] and pending is not None:
            expected.happened(pending, surely=True)
            pending = None
    if pending is not None:
        expected.happened(pending, surely=False)


async def check(path: Path, expected: Expected) -> None:
    section = DiskSection.model_validate({"path": str(path)})
    async with open_disk(section, Clock()) as disk, trio.open_nursery() as services:
        await services.start(disk.run)
        assert disk.statistics().damaged == 0
        for key, possible in expected.keys.items():
            found = await disk.get(key)
            now = time.time()
            held = None
            if found is not None:
                value = found.payload.rstrip(b"x").decode()
                assert found.tags == tags_of(int(key.partition(":")[2]))
                held = (value, found.fresh_until <= now)
            assert held in possible, f"{key} holds {held}, expected one of {possible}"
            expected.keys[key] = {held}
        services.cancel_scope.cancel()


def test_no_kill_undoes_a_purge_or_a_write(folder: Path, forks: subprocess.Popen[str]) -> None:
    """Killed 300 times at random moments: the file opens, and holds what was acknowledged, no more and no less."""
    draw = random.Random(int(os.environ.get("SEED", "1")))
    expected = Expected()

    async def run() -> None:
        async with trio_asyncio.open_loop():
            for seed in range(KILLS):
                run_and_kill(forks, seed, draw.randrange(1, 16), expected)
                await check(folder / "cache.db", expected)

    trio.run(run)
    assert list(folder.glob("*damaged*")) == []


async def prepare(path: Path) -> dict[str, Entry]:
    """A file with entries of all sizes, purges that are swept, soft, and still to be swept; what is left of it."""
    now = time.time()
    entries = {
        f"{'call' if number % 2 else 'doc'}:{number}": Entry(
            random.Random(number).randbytes((40, 900, 9000)[number % 3]),
            now,
            now + 3000,
            tags=(f"t{number % 5}", "every"),
        )
        for number in range(200)
    }
    section = DiskSection.model_validate({"path": str(path), "ttl": "1d"})
    async with open_disk(section, Clock()) as disk, trio.open_nursery() as services:
        await services.start(disk.run)
        await disk.put(entries)
        await disk.purge(Selector("tag", "t0"))
        await disk.purge(Selector("tag", "t1"), soft=True)
        await disk.do(Kind.CHANGE, lambda store: purge(store, Selector("glob", "doc:1*"), soft=False), durable=True)
        services.cancel_scope.cancel()
    return {
        key: entry
        for key, entry in entries.items()
        if "t0" not in entry.tags and not Selector("glob", "doc:1*").matches(key, ())
    }


async def get_all(disk: DiskTier, keys: list[str]) -> dict[str, Entry]:
    """What there is of `keys`, asked for at once."""
    found: dict[str, Entry] = {}

    async def get(key: str) -> None:
        entry = await disk.get(key)
        if entry is not None:
            found[key] = entry

    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(get, key)
    return found


async def look(disk: DiskTier, left: dict[str, Entry]) -> None:
    """Everything that is served is what was put, less what was purged, before and after a purge by tag."""
    found = await get_all(disk, [f"{kind}:{number}" for kind in ("call", "doc") for number in range(200)])
    for key, entry in found.items():
        kept = left[key]
        if "t1" in kept.tags:
            assert entry.fresh_until <= time.time()
            kept = kept.made_stale(entry.fresh_until)
        assert entry == kept, key
    await disk.purge(Selector("tag", "t2"))
    assert await get_all(disk, [key for key, entry in left.items() if "t2" in entry.tags]) == {}
    await disk.put({"new": Entry(b"new", time.time(), time.time() + 100)})


@pytest.mark.parametrize("part", range(PARTS))
def test_no_flipped_bit_makes_a_wrong_answer(folder: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """One bit of 500 copies is flipped anywhere: nothing wrong, foreign or purged is served, and nothing crashes."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    draw = random.Random(f"{os.environ.get('SEED', '1')}.{part}")
    opened = 0

    async def run() -> None:
        nonlocal opened
        async with trio_asyncio.open_loop():
            left = await prepare(folder / "prepared.db")
            size = (folder / "prepared.db").stat().st_size
            for number in range(FLIPS // PARTS):
                # Half of them without the check of small files at the start, as it is with a large one.
                monkeypatch.setattr(schema_damage, "_QUICK", 8_000_000 if number % 2 else 0)
                copy = folder / str(number)
                copy.mkdir()
                shutil.copyfile(folder / "prepared.db", copy / "cache.db")
                with (copy / "cache.db").open("r+b") as file:
                    file.seek(draw.randrange(size))
                    byte = file.read(1)[0]
                    file.seek(-1, os.SEEK_CUR)
                    file.write(bytes([byte ^ 1 << draw.randrange(8)]))
                section = DiskSection.model_validate({"path": str(copy / "cache.db"), "ttl": "1d"})
                async with open_disk(section, Clock()) as disk, trio.open_nursery() as services:
                    await services.start(disk.run)
                    opened += disk.statistics().entries > 0
                    await look(disk, left)
                    services.cancel_scope.cancel()
                shutil.rmtree(copy)

    try:
        trio.run(run)
    finally:
        structlog.reset_defaults()
    assert opened > FLIPS / PARTS / 2
