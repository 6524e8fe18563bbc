"""What the janitor does to the disk tier's file, in bits that are small enough for requests to be served in between.

A chore is a function of the store and a number of rows or pages. It does up to that many and returns how many
it did; 0 is that nothing is left. It is called inside a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from gateway.tiers.disk_entries import evict as evict_least
from gateway.tiers.disk_rows import delete
from gateway.tiers.disk_slices import TARGET, Chore, in_slices
from gateway.tiers.disk_store import Store
from gateway.tiers.disk_sweep import sweep_floor, sweep_purges

_FREE_RATIO = 0.1
_FREE_PAGES = 64
"""Free pages that the file may keep for what comes next: a tenth, and a few."""
_MAX_PAGES = 64
"""Pages in one bit of the vacuum, which all are moved and written; and the clock is looked at after each. SQLite looks
for the last page of the file in its list of free pages: found early, a page costs 10 us, and behind 200 000 others, as
after deleting from the last row to the first, 1500 us."""


@in_slices
def write_reads(store: Store, limit: int) -> int:
    """Write down when entries were read last; what a failing transaction loses of it is only recency."""
    keys = list(store.noted)[:limit]
    rows = [(store.noted.pop(key), key) for key in keys]
    store.connection.executemany("UPDATE entries SET used_at = ? WHERE key = ?", rows)
    return len(rows)


@in_slices
def expire(store: Store, limit: int) -> int:
    """Delete what nobody may use any more."""
    query = "SELECT rowid FROM entries WHERE usable_until <= ? ORDER BY usable_until LIMIT ?"
    count = delete(store.connection, [rowid for (rowid,) in store.connection.execute(query, (store.now, limit))])
    store.counters.expired += count
    return count


def forget_purges(store: Store, limit: int) -> int:
    """Forget purges from before which no entry can be left."""
    return store.purges.forget_before(store.connection, store.now, limit)


def evict(store: Store, limit: int) -> int:
    """Delete what is worth least until the file is a little below its limit, once it is above."""
    if not store.over_limit:
        return 0
    return evict_least(store, limit)


def vacuum(store: Store, limit: int) -> int:
    """Give free pages back to the file system, but for some that the next writes will take."""
    free, pages = (
        store.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count")
    )
    surplus = int(free - max(_FREE_PAGES, pages * _FREE_RATIO))
    if surplus <= 0:
        return 0
    count, end = 0, time.perf_counter() + TARGET
    while count < min(limit, surplus, _MAX_PAGES) and (count == 0 or time.perf_counter() < end):
        # Python's sqlite3 takes only the first step of this statement, which is one page.
        store.connection.execute("PRAGMA incremental_vacuum(1)")
        count += 1
    return count


CHORES: Mapping[str, Chore] = {
    "reads": write_reads,
    "expired": expire,
    "purged altogether": sweep_floor,
    "purged": sweep_purges,
    "purges forgotten": forget_purges,
    "evicted": evict,
    "pages": vacuum,
}
"""All that is to be done, by what is counted, in this order: what is worth nothing goes before what is worth little."""
