"""Purges as the engine has them: what it is told, what it tells, and what it remembers."""

from __future__ import annotations

import secrets
from typing import Any, cast

import msgpack
from coredis.connection import BaseConnection

from gateway.errors import TierError
from gateway.pipeline.invalidation import Kind, Selector
from gateway.profile.shared import SharedTier as SharedSection
from gateway.telemetry.metrics import Counts
from gateway.tiers.shared.link import Link
from gateway.tiers.shared.names import Names
from gateway.tiers.shared.remembered import Purge
from gateway.tiers.shared.scripts import GREET, PURGE

_KINDS = ("key", "tag", "glob", "all")
_OLDEST = (6, 2)
"""The first Redis whose streams can be trimmed by what they hold."""


class History:
    """Asks the engine about purges, on a connection that is not for everybody yet. All of it raises TierError."""

    def __init__(self, section: SharedSection, link: Link, names: Names, counts: Counts) -> None:
        self._link = link
        self._names = names
        self._counts = counts
        self._kept = int(section.purge_history * 1_000_000)

    async def run_of(self, commands: BaseConnection) -> str:
        """The name of the engine's process, if it is one that will do."""
        text = await self._link.on(commands, b"INFO", b"server")
        about = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        found = about.get("redis_version", "?")
        if tuple(int(part) for part in found.split(".")[:2] if part.isdecimal()) < _OLDEST:
            raise TierError(f"shared: expected Valkey, or Redis 6.2 or newer, found {found} (cache.shared.url)")
        if about.get("redis_mode") == "cluster":
            raise TierError("shared: expected one engine, found one of a cluster (cache.shared.url)")
        return str(about.get("run_id", ""))

    async def greet(self, commands: BaseConnection, run: str) -> tuple[str, int, int]:
        """Begin a session: the epoch, the stamp of this moment, and the one from which on all purges are kept."""
        keys = self._names.purges
        answer = await self._link.on(commands, b"EVALSHA", GREET.sha, len(keys), *keys, secrets.token_hex(8), run)
        return answer[0].decode(), int(answer[1]), int(answer[2])

    async def since(self, commands: BaseConnection, stamp: int, most: int) -> list[tuple[int, Purge]]:
        """The purges after `stamp`, oldest first, at most so many; what is no purge is counted and left out."""
        stream = self._names.purges[2]
        found = await self._link.on(commands, b"XRANGE", stream, f"({stamp}-0", b"+", b"COUNT", most)
        missed = []
        for name, values in found or ():
            fields = dict(zip(values[::2], values[1::2], strict=False))
            purge = _purge(*(fields.get(key, b"") for key in (b"i", b"k", b"v", b"s")))
            if purge is None:
                self._counts.add("unreadable")
            else:
                missed.append((int(name.partition(b"-")[0]), purge))
        return missed

    async def tell(self, commands: BaseConnection, epoch: str, purge: Purge) -> None:
        """Tell of a purge; one that is known already is not made again."""
        keys = self._names.purges
        await self._link.on(commands, b"EVAL", PURGE.source, len(keys), *keys, *self.words(epoch, purge))

    def words(self, epoch: str, purge: Purge) -> tuple[str | bytes | int, ...]:
        """The arguments of `PURGE`."""
        value = purge.selector.value.encode("utf-8", "surrogatepass")
        soft = "1" if purge.soft else "0"
        return epoch, purge.id, purge.selector.kind, value, soft, self._kept, self._names.channel


def heard_of(message: list[Any]) -> tuple[int, Purge] | None:
    """The purge that a message tells of, and its stamp; None for what is no purge."""
    try:
        _, _, payload = message
        stamp, *parts = msgpack.unpackb(payload, raw=True)
        purge = _purge(*parts)
        return None if purge is None else (int(stamp), purge)
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException):
        return None


def _purge(name: bytes, kind: bytes, value: bytes, soft: bytes) -> Purge | None:
    word = kind.decode("ascii", "replace")
    if word not in _KINDS:
        return None
    selector = Selector(cast("Kind", word), value.decode("utf-8", "surrogatepass"))
    return Purge(name.decode("ascii", "replace"), selector, soft == b"1")
