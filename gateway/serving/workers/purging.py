"""A purge in all workers: each does it, or hears of it before it serves, and other instances are told once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import trio

from gateway.errors import GatewayError, TierError
from gateway.pipeline.invalidation import Selector
from gateway.profile.tiers import Cache
from gateway.serving.workers.slot import Worker
from gateway.serving.workers.worker import purge_of


class Purge:
    """One purge, of caches as `section` has them; from `stop` on no worker is started that could hear of it later."""

    def __init__(self, selector: Selector, section: Cache, stop: trio.Event, *, soft: bool) -> None:
        self._selector = selector
        self._soft = soft
        self._section = section
        self._stop = stop
        self._counts: list[int] = []
        self._troubles: list[str] = []

    async def in_all(self, workers: Sequence[Worker]) -> int:
        """Purge in all of them, of which one tells other instances; how many entries there were. Raises TierError."""
        tellers = [worker for worker in workers if worker.greeted]
        async with trio.open_nursery() as nursery:
            for worker in workers:
                if worker not in tellers[:1]:
                    nursery.start_soon(partial(self._in_one, worker, tells=False))
            heard = False
            for number, worker in enumerate(tellers):
                if not number or worker.greeted:
                    heard = await self._in_one(worker, tells=True)
                if heard:
                    break
        if not heard and self._section.shared.enabled:
            self._troubles.append("no worker is there to tell other instances: purge again in a moment")
        return self._sum()

    async def in_others(self, workers: Sequence[Worker]) -> int:
        """Purge in these, where other instances were told; how many entries there were. Raises TierError."""
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(partial(self._in_one, worker, tells=False))
        return self._sum()

    async def _in_one(self, worker: Worker, *, tells: bool) -> bool:
        """Whether it has answered."""
        try:
            if worker.greeted:
                told = {**purge_of(self._selector, self._soft), "publish": tells}
                answer = await worker.ask("POST", "/worker/purge", json=told)
                if answer.is_error:
                    self._troubles.append(f"worker {worker.number}: {answer.json()['error']}")
                else:
                    self._counts.append(int(answer.json()["purged"]))
                return True
        except GatewayError:  # it has ended, or hangs: then it is not to go on without it
            if worker.process is not None and not self._stop.is_set():
                worker.process.kill()
        worker.miss(self._selector, soft=self._soft)
        if self._stop.is_set() and self._section.disk.enabled:
            about = "has ended, and does not purge its file: purge after the start"
            self._troubles.append(f"worker {worker.number} {about}")
        return False

    def _sum(self) -> int:
        if self._troubles:
            raise TierError("; ".join(self._troubles))
        return sum(self._counts)
