from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import struct
from pathlib import Path

import msgpack
import pytest
import structlog.testing

from gateway.errors import TierError
from gateway.pipeline.clock import Clock
from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.tiers import schema_damage
from gateway.tiers.disk_batch import Kind
from gateway.tiers.schema import VERSION, open_file
from gateway.watch.janitor import Janitor
from tests.tiers.rig import crashed, entry, opened, set_aside

VERSION_1 = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA recursive_triggers = ON;
CREATE TABLE entries (
    key TEXT PRIMARY KEY, tags TEXT NOT NULL, priority INTEGER NOT NULL, used_at REAL NOT NULL,
    usable_until REAL NOT NULL, row BLOB NOT NULL
) STRICT;
CREATE INDEX entries_by_expiry ON entries (usable_until);
CREATE INDEX entries_by_worth ON entries (priority, used_at);
CREATE INDEX entries_by_use ON entries (used_at);
CREATE TABLE tags (tag TEXT, key TEXT, PRIMARY KEY (tag, key)) STRICT, WITHOUT ROWID;
CREATE TRIGGER entries_tagged AFTER INSERT ON entries BEGIN
    INSERT OR IGNORE INTO tags SELECT value, new.key FROM json_each(new.tags);
END;
CREATE TRIGGER entries_untagged AFTER DELETE ON entries BEGIN
    DELETE FROM tags WHERE key = old.key AND tag IN (SELECT value FROM json_each(old.tags));
END;
PRAGMA user_version = 1;
"""


def row_of_format_1(key: str, kept: Entry) -> bytes:
    fields = (kept.stored_at, kept.fresh_until, kept.stale_while_revalidate, kept.stale_if_error, kept.tags)
    body = msgpack.packb((False, kept.payload, *fields, kept.priority, kept.immutable, kept.media_type, "", ""))
    row: bytes = struct.pack(">BI", 1, len(kept.payload)) + body
    return row + hashlib.blake2b(row + key.encode(), digest_size=16).digest()


def file_of_version_1(path: Path, entries: dict[str, Entry]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    for key, kept in entries.items():
        tags = msgpack_json(kept.tags)
        values = (key, tags, kept.priority, kept.stored_at, kept.usable_until, row_of_format_1(key, kept))
        connection.execute("INSERT INTO entries VALUES (?,?,?,?,?,?)", values)
    connection.commit()
    connection.close()


def msgpack_json(tags: tuple[str, ...]) -> str:
    return "[" + ",".join(f'"{tag}"' for tag in tags) + "]"


async def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    """What an older gateway kept is served, is purged by tag, and lies beside new entries."""
    path = tmp_path / "cache.db"
    old = {"a": entry(b"a", ("t",)), "b": entry(b"b", ("u",))}
    file_of_version_1(path, old)
    async with opened(path) as disk:
        assert disk.statistics().entries == 2
        assert await disk.get("a") == old["a"]
        await disk.put({"c": entry(b"c", ("t",))})
        assert await disk.purge(Selector("tag", "t")) == 2
        assert await disk.get("a") is None
    async with opened(path) as disk:
        assert await disk.get("a") is None
        assert await disk.get("b") == old["b"]
        assert disk.statistics().entries == 1
    assert set_aside(tmp_path) == []


async def test_a_migrated_file_has_the_indices_of_a_new_one(tmp_path: Path) -> None:
    """Migrating and making anew end in the same tables, but for the order of columns."""
    file_of_version_1(tmp_path / "old.db", {})
    schemas = []
    for name in ("old.db", "new.db"):
        connection, _ = open_file(tmp_path / name, 0.0)
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE name <> 'entries' ORDER BY name"
        ).fetchall()
        columns = {column for (column,) in connection.execute("SELECT name FROM pragma_table_info('entries')")}
        schemas.append((rows, columns, connection.execute("PRAGMA user_version").fetchone()))
        connection.close()
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("version", [VERSION + 1, 77])
async def test_a_file_of_an_unknown_version_is_set_aside(tmp_path: Path, version: int) -> None:
    """What a newer gateway wrote is kept as it is, and a new file is made."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry()})
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with structlog.testing.capture_logs() as logs:
        async with opened(path) as disk:
            assert await disk.get("a") is None
    assert logs[0]["problem"] == f"its tables have version {version}, this gateway writes version {VERSION}"
    assert len(set_aside(tmp_path)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE state SET mark = x'00'",
        "UPDATE state SET mark = zeroblob(length(mark))",
        "DELETE FROM state",
        "DELETE FROM purges",
        "UPDATE purges SET record = zeroblob(10)",
        "INSERT INTO purges VALUES (900, x'00')",
        "DROP TABLE purges",
    ],
)
async def test_a_file_whose_purge_log_is_damaged_is_set_aside(tmp_path: Path, damage: str) -> None:
    """Nobody knows what was purged, so nothing of it is served."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry(tags=("t",)), "b": entry()})
        await disk.purge(Selector("tag", "t"), soft=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(damage)
    connection.close()
    async with opened(path) as disk:
        assert await disk.get("b") is None
    assert len(set_aside(tmp_path)) == 1


@pytest.mark.parametrize("quick", [0, 8_000_000])
async def test_any_damage_to_the_header_and_the_schema_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: int
) -> None:
    """Wherever a bit is wrong there, the file is used or set aside; a command that needs it as it is says why not."""
    monkeypatch.setattr(schema_damage, "_QUICK", quick)
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry(tags=("t",))})
        await disk.purge(Selector("tag", "t"), soft=True)
    sound = path.read_bytes()
    schema = [place for place in range(4096) if sound[place]]
    for place in [*range(100), *schema[::5]]:
        damaged = bytearray(sound)
        damaged[place] ^= 0x80 if place >= 100 else 1 << place % 8
        path.write_bytes(damaged)
        with contextlib.suppress(TierError):
            open_file(path, 0.0, existing=True)[0].close()
        path.write_bytes(damaged)
        open_file(path, 0.0)[0].close()
        for aside in set_aside(tmp_path):
            aside.unlink()
        path.unlink()


async def test_a_wal_that_was_left_behind_does_not_come_back(tmp_path: Path) -> None:
    """A kill between renaming the file and its WAL leaves a WAL alone: a new file takes nothing of it."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry()})
        crashed(path, tmp_path / "copy.db")
    (tmp_path / "copy.db").unlink()
    assert (tmp_path / "copy.db-wal").stat().st_size > 0
    async with opened(tmp_path / "copy.db") as disk:
        assert await disk.get("a") is None
        assert disk.statistics().entries == 0


def test_an_existing_file_is_not_touched_for_a_command(tmp_path: Path) -> None:
    """Where only an existing file will do, none is made, and a foreign one is not set aside."""
    with pytest.raises(TierError, match="there is no cache file"):
        open_file(tmp_path / "cache.db", 0.0, existing=True)
    (tmp_path / "cache.db").write_bytes(b"something else" * 100)
    with pytest.raises(TierError, match=r"can't use .*cache.db: file is not a database"):
        open_file(tmp_path / "cache.db", 0.0, existing=True)
    assert [path.name for path in tmp_path.iterdir()] == ["cache.db"]


async def test_no_statement_of_a_request_or_of_the_start_scans_a_table(tmp_path: Path) -> None:
    """With a million entries each finds its rows by an index, which is why it costs what it costs with a thousand."""
    seen: list[str] = []
    async with opened(tmp_path / "cache.db") as disk:
        await disk.do(Kind.READ, lambda store: store.connection.set_trace_callback(seen.append))
        await disk.put({"a": entry(tags=("t",)), "b": entry(age=2000)})
        assert await disk.get("a") is not None
        for kind in ("key", "tag", "glob"):
            await disk.purge(Selector(kind, "a*"), soft=True)
            await disk.purge(Selector(kind, "a*"))
        await Janitor(disk, 1.0).clean_up()
        await disk.do(Kind.READ, lambda store: store.connection.set_trace_callback(None))
    connection, _ = open_file(tmp_path / "cache.db", Clock()())
    scans = set()
    for sql in seen:
        if sql.startswith(("SELECT", "DELETE", "UPDATE", "INSERT")):
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}"):
                if step.startswith("SCAN") and "json_each" not in step:
                    scans.add((sql, step))
    connection.close()
    assert any(sql.startswith("DELETE") for sql in seen)
    # An index in its own order, up to a limit, is no scan of the table; all purges are few.
    limited = {(sql, step) for sql, step in scans if "LIMIT" in sql and "INDEX" in step}
    assert scans - limited == set()


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"    entries INTEGER NOT NULL,", b"    entrieS_INTEGER NOT NULL,"),
        (b"SET entries = entries + 1", b"SET entries = entries * 1"),
        (b"SET entries = entries - 1", b"SET entries = NULL    - 1"),
        (b"DELETE FROM tags WHERE key = old.key", b"DELETE FROM tags WHERE key > old.key"),
        (b"ON entries (priority, used_at)", b"ON entries (used_at, priority)"),
        (b"record BLOB", b"recorf BLOB"),
    ],
)
async def test_a_schema_that_is_not_the_one_that_was_made_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was: bytes, becomes: bytes
) -> None:
    """Also where it still opens, and what a trigger does is only a little different."""
    monkeypatch.setattr(schema_damage, "_QUICK", 0)
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry()})
    content = path.read_bytes()
    assert content.count(was) == 1
    path.write_bytes(content.replace(was, becomes))
    async with opened(path) as disk:
        assert await disk.get("a") is None
        await disk.put({"a": entry()})
        assert await disk.purge(Selector("all")) == 1
    assert len(set_aside(tmp_path)) == 1


async def test_a_file_that_was_not_stamped_yet_is_taken_as_it_is(tmp_path: Path) -> None:
    """It gets its stamp, and the next opening compares it."""
    path = tmp_path / "cache.db"
    async with opened(path) as disk:
        await disk.put({"a": entry()})
    with sqlite3.connect(path) as connection:
        (stamp,) = connection.execute("PRAGMA application_id").fetchone()
        connection.execute("PRAGMA application_id = 0")
    connection.close()
    async with opened(path) as disk:
        assert await disk.get("a") is not None
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (stamp,)
    connection.close()
