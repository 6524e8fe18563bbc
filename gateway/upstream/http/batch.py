"""Several requests as one: those that differ in one key only, made within a short while of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import trio

from gateway.errors import GatewayError, UpstreamRejected
from gateway.printable import printable
from gateway.profile.upstreams.batch import Batch as Section
from gateway.upstream.model import Fetched, Wanted

Key = str | int
Outcome = Fetched | Exception
AskMany = Callable[[Wanted, list[Key]], Awaitable[Mapping[str, Outcome]]]
"""Asks for several keys of a `Wanted` without one, and tells what came of each, by its text."""


class _Batch:
    """Requests that wait for each other, and what came of them."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.waiting: Counter[str] = Counter()
        self.full = trio.Event()
        self.done = trio.Event()
        self.outcomes: Mapping[str, Outcome] = {}


class Batcher:
    """Joins requests. A batch runs in `tasks`, not in its callers' scopes; `sent` is told how many each stands for.

    The first request waits for others for at most the section's window, and a full batch goes at once. A caller that is
    cancelled takes nothing away from the others; a key that nobody waits for any more when the batch goes, stays out.
    """

    def __init__(
        self, upstream: str, section: Section, ask: AskMany, tasks: trio.Nursery, sent: Callable[[int], None]
    ) -> None:
        self._upstream = upstream
        self._section = section
        self._ask = ask
        self._sent = sent
        self._tasks = tasks
        self._open: dict[Wanted, _Batch] = {}

    async def fetch(self, wanted: Wanted) -> Fetched:
        """What came of `wanted`, whose key goes with others. Raises what came of it alone, or of the whole batch."""
        key = wanted.batch_key
        text = str(key)
        if key is None or (self._section.separator and self._section.separator in text):
            raise UpstreamRejected(self._upstream, f"the key {printable(text, 120)!r} can't be one of several")
        batch = self._join(replace(wanted, batch_key=None), text, key)
        try:
            await batch.done.wait()
        finally:
            batch.waiting[text] -= 1
        match batch.outcomes.get(text):
            case Fetched() as fetched:
                return fetched
            case Exception() as error:
                # Without this, each of many waiters would append its frames to the one traceback they share.
                raise error.with_traceback(None)
            case _:
                raise GatewayError("the gateway is closing")

    def _join(self, group: Wanted, text: str, key: Key) -> _Batch:
        batch = self._open.get(group)
        if batch is None:
            batch = self._open[group] = _Batch()
            self._tasks.start_soon(self._run, group, batch, name=f"batch of {self._upstream}")
        batch.keys[text] = key
        batch.waiting[text] += 1
        if len(batch.keys) >= self._section.max:
            del self._open[group]
            batch.full.set()
        return batch

    async def _run(self, group: Wanted, batch: _Batch) -> None:
        try:
            with trio.move_on_after(self._section.window):
                await batch.full.wait()
            if self._open.get(group) is batch:
                del self._open[group]
            keys = [key for text, key in batch.keys.items() if batch.waiting[text] > 0]
            if keys:
                self._sent(len(keys))
                batch.outcomes = await self._ask(group, keys)
        except Exception as error:  # it belongs to the callers; here it would end every other batch with it
            batch.outcomes = dict.fromkeys(batch.keys, error)
        finally:
            if self._open.get(group) is batch:
                del self._open[group]
            batch.done.set()
