"""The supervisor's side: starts workers, starts them again, ends them, and asks all of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import structlog
import trio

from gateway.errors import GatewayError, StartError
from gateway.pipeline.invalidation import Selector
from gateway.profile.loader import Loaded
from gateway.serving.admission import own_credential
from gateway.serving.workers.numbers import Numbers, added, read
from gateway.serving.workers.place import VARIABLE, Place, worker_path
from gateway.serving.workers.purging import Purge
from gateway.serving.workers.slot import Worker
from gateway.serving.workers.worker import client_of

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
"""Seconds before a worker that ended is started again: twice as many each time, up to half a minute..."""
_STEADY = 60.0
"""...and as few as at first again once it has run for so long."""
_STUCK = 30.0
"""Seconds without an answer after which a worker is taken for hung, and killed..."""
_STARTING = 600.0
"""...and as many until its first one: many may share a core, and wait for their upstreams (`start_patience`)."""
_LOOK = 0.1
"""Seconds between two looks whether a process has started or ended."""
_HEAR = 1.0
"""Seconds between two questions for what a worker has counted: so much behind the sum may be."""
_LAST_THINGS = 15.0
"""Seconds that a worker may take to end beside its drains."""


class Fleet:
    """The workers of `loaded`, as many as `server.workers` says. `run` is the service."""

    def __init__(
        self, loaded: Loaded, command: Sequence[str], mcp: Sequence[socket.socket], folder: str, stop: trio.Event
    ) -> None:
        self.loaded = loaded
        self.offered = loaded
        """What workers are to have once they have reloaded."""
        self.replaced = trio.Event()
        """Set when they have another profile, and then another event."""
        self.retired = Numbers()
        """What was counted by processes that are no more."""
        self._command = command
        self._mcp = mcp
        self._folder = folder
        self._stop = stop
        self._alive = os.pipe()
        self.heard: Callable[[], None] = lambda: None
        """Called when a worker has told its numbers, or is no more."""
        numbers = range(1, loaded.profile.server.workers + 1)
        self.workers = [Worker(number, client_of(worker_path(folder, number))) for number in numbers]

    @property
    def numbers(self) -> list[Numbers]:
        """What each that serves has told last."""
        return [worker.numbers for worker in self.workers if worker.serves]

    @property
    def ready(self) -> bool:
        """Whether requests are welcome: one worker is enough to answer them."""
        return any(each.ready for each in self.numbers)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the workers running until `stop` is set, and wait for their end.

        Started once all of them serve. Raises StartError where one ends before it ever has: the reason is on stderr.
        """
        try:
            async with trio.open_nursery() as nursery:
                for worker in self.workers:
                    nursery.start_soon(self._keep, worker)
                while not all(worker.serves for worker in self.workers) and not self._stop.is_set():  # noqa: ASYNC110
                    await trio.sleep(_LOOK)
                task_status.started()
        finally:
            self._kill_all()
            for worker in self.workers:
                await worker.http.aclose()
            for descriptor in self._alive:
                os.close(descriptor)

    async def replace(self, loaded: Loaded) -> None:
        """Let one worker after the other take another profile; all of them take it, or none.

        Raises what the first one says that can't: then those before it take back the one that they had.
        """
        taken: list[tuple[Worker, object]] = []
        self.offered = loaded
        try:
            for worker in self.workers:
                if worker.serves:  # one that is about to is told once it does
                    taken.append((worker, worker.process))
                    await self._reload(worker)
        except BaseException:
            self.offered = self.loaded
            for worker, process in taken:
                if worker.process is process:
                    await self._reload_late(worker)
            raise
        self.loaded = loaded
        for worker, process in taken:
            if worker.process is process:
                worker.started_on = loaded
        self.replaced.set()
        self.replaced = trio.Event()

    async def _reload(self, worker: Worker) -> None:
        answer = await worker.ask("POST", "/api/reload")
        if answer.is_error:
            raise GatewayError(f"worker {worker.number}: {answer.json()['error']}")

    async def purge(self, selector: Selector, *, soft: bool, by: int | None = None) -> int:
        """Purge in every worker but `by`, who has told other instances itself; how many entries there were.

        One that is not there hears of it before it serves. Raises TierError where one could not do it, or will not
        hear of it: it is done in the others then, but may come back.
        """
        purge = Purge(selector, self.loaded.profile.cache, self._stop, soft=soft)
        others = [worker for worker in self.workers if worker.number != by]
        return await (purge.in_all(others) if by is None else purge.in_others(others))

    async def each(self, method: str, path: str, **more: Any) -> dict[int, Any]:
        """The JSON of the same request to every worker that serves, by number. Raises GatewayError."""
        found: dict[int, Any] = {}
        troubles: list[GatewayError] = []  # raised by the nursery they would be a group, which nobody expects

        async def one(worker: Worker) -> None:
            try:
                answer = await worker.ask(method, path, **more)
            except GatewayError as error:
                troubles.append(error)
                return
            told = answer.json()
            if answer.is_error:
                troubles.append(GatewayError(f"worker {worker.number}: {told.get('error', answer.status_code)}"))
            found[worker.number] = told

        async with trio.open_nursery() as nursery:
            for worker in self.workers:
                if worker.serves:
                    nursery.start_soon(one, worker)
        if troubles:
            raise troubles[0]
        return dict(sorted(found.items()))

    def greet(self, number: int) -> list[tuple[Selector, bool]]:
        """A worker is about to serve: what was purged while it was not there, for it to do first."""
        worker = self.workers[number - 1]
        missed, worker.missed, worker.greeted = worker.missed, [], True
        return missed

    def worker(self, number: int) -> Worker:
        """The worker of this number. Raises GatewayError where there is none, or it does not serve."""
        found = next((worker for worker in self.workers if worker.number == number), None)
        if found is None or not found.serves:
            raise GatewayError(f"there is no worker {number} now; there are {len(self.workers)} (server.workers)")
        return found

    async def _keep(self, worker: Worker) -> None:
        """Start a worker again and again, until all are told to stop."""
        pause, ever = _FIRST_PAUSE, False
        while not self._stop.is_set():
            began = trio.current_time()
            self._start(worker)
            code = await self._watch(worker)
            ever = ever or worker.serves
            self._retire(worker)
            if self._stop.is_set():
                return
            if not ever:
                raise StartError(f"worker {worker.number} could not start (server.workers); it ended with {code}")
            if trio.current_time() - began >= _STEADY:
                pause = _FIRST_PAUSE
            log.error("a worker ended, it is started again", worker=worker.number, code=code, pause=pause)
            worker.restarts += 1
            with trio.move_on_after(pause):
                await self._stop.wait()
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _start(self, worker: Worker) -> None:
        mcp = tuple(sock.fileno() for sock in self._mcp)
        place = Place(worker.number, len(self.workers), self._folder, mcp, self._alive[0], own_credential().decode())
        environ = {**os.environ, VARIABLE: place.told()}
        worker.process = subprocess.Popen(self._command, env=environ, pass_fds=(*mcp, self._alive[0]))  # noqa: S603  # this very program
        worker.started_at, worker.started_on = time.time(), self.loaded
        worker.heard_at = trio.current_time()

    async def _watch(self, worker: Worker) -> int:
        """Hear of a worker until its process ends; the exit code. Ends it when all are to stop, or it hangs."""
        process = worker.process
        assert process is not None  # noqa: S101  # it was started just before
        told = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, worker)
            while process.poll() is None:
                if self._stop.is_set() and not told:
                    process.send_signal(signal.SIGTERM)
                    told, worker.heard_at = True, trio.current_time()
                silent = trio.current_time() - worker.heard_at
                if silent > (self._patience if told else _STUCK if worker.serves else _STARTING):
                    log.error("a worker hangs, it is killed", worker=worker.number, seconds=round(silent))
                    process.kill()
                await trio.sleep(_LOOK)
            nursery.cancel_scope.cancel()
        return process.returncode

    async def _hear(self, worker: Worker) -> None:
        """Ask a worker for its numbers, again and again."""
        while True:
            try:
                answer = await worker.http.get("/worker/numbers")
                numbers = read(answer.content)
            except (httpx2.HTTPError, ValueError, KeyError, TypeError):
                await trio.sleep(_LOOK)
                continue
            worker.numbers, worker.heard_at, worker.serves = numbers, trio.current_time(), True
            self.heard()
            if worker.started_on is not self.loaded:
                worker.started_on = self.loaded
                await self._reload_late(worker)
            await trio.sleep(min(_HEAR, self.loaded.profile.metrics.resolution))

    async def _reload_late(self, worker: Worker) -> None:
        """Tell a worker of a reload that it was not there for, or that came to nothing."""
        try:
            await self._reload(worker)
        except GatewayError as error:
            log.error("a worker does not take the profile of the others", error=str(error))  # noqa: TRY400

    def _retire(self, worker: Worker) -> None:
        """Keep what a process has counted, which is no more."""
        worker.serves = worker.greeted = False
        self.retired = added([self.retired, worker.numbers])
        worker.numbers = Numbers()
        self.heard()

    @property
    def _patience(self) -> float:
        section = self.loaded.profile.server
        return section.drain_delay + 2 * section.drain_timeout + _LAST_THINGS

    def _kill_all(self) -> None:
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
