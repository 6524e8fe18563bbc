"""Room on the disk: writing stops before there is none, and goes on by itself when there is some again."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from gateway.errors import TierError

log = structlog.get_logger(__name__)

_RESERVE = 16_000_000
_RESERVE_RATIO = 0.01
_RESERVE_LEAST = 64_000
"""What is left free for purges and for the janitor, which both have to write in order to delete: 16 MB, on a small disk
a hundredth, but some pages. Writing goes on when there is twice as much."""

_TIGHT = 8
"""So many times that is little room."""

_CHECK_INTERVAL = 1.0
"""Seconds for which an answer of the file system counts, and between two attempts on a full disk."""


class Room:
    """Whether there is room to write on the disk that holds `path`; logs when that changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at = float("-inf")
        self._attempt = False
        self.full = False
        """Writing is paused."""
        self.tight = False
        """There is little room, so the WAL is to be kept empty: what it holds needs room in the file as well."""

    def look(self, now: float) -> None:
        """See how much room there is, at most once a second. On a full disk, one attempt to write follows from it."""
        if now - self._looked_at < _CHECK_INTERVAL:
            return
        self._looked_at = now
        disk = os.statvfs(self._path.parent)
        free = disk.f_bavail * disk.f_frsize
        reserve = min(_RESERVE, max(_RESERVE_LEAST, disk.f_blocks * disk.f_frsize * _RESERVE_RATIO))
        self.tight = free < _TIGHT * reserve
        self._attempt = self.full and free >= 2 * reserve
        if free < reserve:
            self.failed(f"{free} bytes are free")

    def check(self) -> None:
        """Raises TierError when writing is paused, save for one attempt a second when there seems to be room again."""
        if self.full and not self._attempt:
            raise TierError(f"disk: no room left on the disk of {self._path}")
        self._attempt = False

    def failed(self, problem: str) -> None:
        """There is no room: writing is paused."""
        if not self.full:
            self.full = True
            log.warning("disk full, nothing more is written", tier="disk", path=str(self._path), problem=problem)

    def succeeded(self) -> None:
        """Entries were written."""
        if self.full:
            self.full = False
            log.info("disk has room again", tier="disk", path=str(self._path))
