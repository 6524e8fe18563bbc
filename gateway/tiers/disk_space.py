"""Room on the disk: writing stops before there is none, and goes on by itself when there is some again."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from gateway.errors import TierError

log = structlog.get_logger(__name__)

_RESERVE = 16_000_000
_RESERVE_RATIO = 0.01
"""What is left free for purges and for the janitor, which both have to write in order to delete: 16 MB, on a small disk
a hundredth. Writing goes on when there is twice as much."""

_CHECK_INTERVAL = 1.0
"""Seconds for which an answer of the file system counts, and between two attempts on a full disk."""


class Room:
    """Whether there is room to write on the disk that holds `path`; logs when that changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checked_at = float("-inf")
        self.full = False

    def check(self, now: float) -> None:
        """Raises TierError when writing is paused. On a full disk, lets one attempt through a second, if there is room.

        A failing attempt is told by `failed`, one that succeeds by `succeeded`.
        """
        if now - self._checked_at < _CHECK_INTERVAL:
            if self.full:
                raise self._error()
            return
        self._checked_at = now
        disk = os.statvfs(self._path.parent)
        free = disk.f_bavail * disk.f_frsize
        reserve = min(_RESERVE, disk.f_blocks * disk.f_frsize * _RESERVE_RATIO)
        if free < (2 * reserve if self.full else reserve):
            self.failed(f"{free} bytes are free")
            raise self._error()

    def failed(self, problem: str) -> None:
        """There is no room: writing is paused."""
        if not self.full:
            self.full = True
            log.warning("disk full, nothing more is written", tier="disk", path=str(self._path), problem=problem)

    def succeeded(self) -> None:
        """Something was written."""
        if self.full:
            self.full = False
            log.info("disk has room again", tier="disk", path=str(self._path))

    def _error(self) -> TierError:
        return TierError(f"disk: no room left on the disk of {self._path}")
