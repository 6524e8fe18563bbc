"""What an instance knows of purges, as it has to survive its end: how far it has come, and what it must still tell.

It lies beside the disk tier's file, since it is that file which survives as well. That it is older than the file does
no harm: purges are applied again. It is never newer: a purge counts as applied once the file has it for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgpack
import structlog
import trio

from gateway.atomic import write_atomically
from gateway.pipeline.invalidation import Selector

log = structlog.get_logger(__name__)

_FORMAT = 1
_CHECKSUM = 16


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge as it is told to others."""

    id: str
    selector: Selector
    soft: bool


@dataclass(frozen=True, slots=True)
class Known:
    """How far an instance has come."""

    epoch: str = ""
    """Of the purges that it has applied; empty where it has applied none."""
    run: str = ""
    """The engine's process that it last talked to."""
    applied: int = 0
    """Every purge up to this stamp is applied."""
    untold: Mapping[str, Purge] = field(default_factory=dict)
    """Purges made here that the engine does not know of yet."""


def encode(known: Known) -> bytes:
    """The file's content."""
    untold = [(each.id, each.selector.kind, each.selector.value, each.soft) for each in known.untold.values()]
    body = bytes(
        msgpack.packb((_FORMAT, known.epoch, known.run, known.applied, untold), unicode_errors="surrogatepass")
    )
    return body + hashlib.blake2b(body, digest_size=_CHECKSUM).digest()


def decode(data: bytes) -> Known | None:
    """What `encode` was given; None for anything else."""
    body, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
    if hashlib.blake2b(body, digest_size=_CHECKSUM).digest() != checksum:
        return None
    values = msgpack.unpackb(body, use_list=False, unicode_errors="surrogatepass")
    if values[0] != _FORMAT:
        return None
    _, epoch, run, applied, untold = values
    purges = {each: Purge(each, Selector(kind, value), soft) for each, kind, value, soft in untold}
    return Known(epoch, run, applied, purges)


class KnownFile:
    """The file `path`; None where there is no disk tier, and nothing to survive."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._turn = trio.Lock()
        self._writing = trio.CapacityLimiter(1)

    @property
    def durable(self) -> bool:
        """Whether anything is kept at all."""
        return self.path is not None

    async def load(self) -> Known:
        """What was saved; nothing known where that can't be read, so that everything is taken to be out of date."""
        if self.path is None:
            return Known()
        path, found = self.path, None
        with suppress(FileNotFoundError):
            try:
                found = decode(await trio.to_thread.run_sync(path.read_bytes, limiter=self._writing))
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                log.warning("what was purged can't be read, all is taken to be", path=str(path), error=str(error))
        return found or Known()

    async def save(self, known: Known) -> None:
        """Save it, durably. Raises OSError. Cancelling waits for the end."""
        if self.path is None:
            return
        async with self._turn:
            write = partial(write_atomically, self.path, encode(known), mode=0o600)  # tags hold arguments of callers
            await trio.to_thread.run_sync(write, limiter=self._writing)
