"""The warmer: makes the calls of `[warm]` ahead, so that the first question is answered from the cache."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
import trio

from gateway.errors import GatewayError
from gateway.pipeline.clock import Clock
from gateway.pipeline.model import Horizon
from gateway.profile.tools import Warm

if TYPE_CHECKING:
    from gateway.catalogue.catalogue import Catalogue

log = structlog.get_logger(__name__)

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a round of warming is."""

    total: int
    done: int = 0
    failed: int = 0
    failures: tuple[str, ...] = ()
    """The first few failures, a sentence each."""


@dataclass(slots=True, eq=False)
class _Round:
    total: int
    horizon: Horizon | None = None
    done: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    moved: trio.Event = field(default_factory=trio.Event)
    """Set at the next step, and then replaced: who follows sees where the round is, and not every step."""
    overtaken: bool = False
    """Something was purged since it began: what it warmed may be cold again."""
    ended: bool = False
    cut_off: bool = False

    def progress(self) -> Progress:
        return Progress(self.total, self.done, self.failed, tuple(self.failures))

    def step(self, problem: str | None) -> None:
        self.done += 1
        if problem is not None:
            self.failed += 1
            self.failures += [problem] if len(self.failures) < _SHOWN else []
        self._tell()

    def end(self) -> None:
        self.cut_off = self.done < self.total
        self.ended = True
        self._tell()

    def _tell(self) -> None:
        self.moved.set()
        self.moved = trio.Event()


class Warmer:
    """Calls tools as an agent would, a few at once. A call that fails is logged and counted, and stops nothing.

    There is one round at a time, whoever asks for it, and all of them run in `run`. Where rounds have an interval, each
    renews what would not stay fresh until the next one.
    """

    def __init__(self, catalogue: Catalogue, section: Warm, clock: Clock) -> None:
        self._catalogue = catalogue
        self._section = section
        self._clock = clock
        self._total = sum(1 for _ in warm_calls(section))
        self._wanted = trio.Event()
        self._present: _Round | None = None
        self._next = _Round(self._total)
        self._lasted = 0.0
        self.warmed = trio.Event()
        """Set once a round is through, whatever its failures."""
        self.last: Progress | None = None
        """How the last round went."""

    def purged(self) -> None:
        """Something was purged: warm again if the profile says so. Several purges before a round are one."""
        if self._present is not None:
            self._present.overtaken = True
        if self._section.after_purge:
            self.request()

    def request(self) -> None:
        """Warm again as soon as the present round is through."""
        self._wanted.set()

    async def run(self, *, ahead: bool = True, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Warm on start and at every interval, as the profile says, and on request, until cancelled.

        Without `ahead`, only on request.
        """
        if ahead and self._section.on_start:
            self.request()
        else:
            self.warmed.set()
        interval = self._section.interval if ahead else None
        task_status.started()
        try:
            while True:
                with trio.move_on_after(float("inf") if interval is None else interval):
                    await self._wanted.wait()
                self._wanted = trio.Event()
                await self._make_round(interval)
        finally:
            self._next.end()

    async def steps(self) -> AsyncGenerator[Progress, None]:
        """How far the round is, now and whenever that changes, to its end: the present round, else one made for this.

        A round from before a purge will not do: then it is the next one. Who is slow misses steps, never the last.
        Stopping to look does not stop the round. Raises GatewayError when the gateway closes.
        """
        followed = self._present
        if followed is None or followed.overtaken:
            followed = self._next
            self.request()
        while True:
            moved = followed.moved
            yield followed.progress()
            if followed.cut_off:
                raise GatewayError("the gateway is closing, not everything was warmed")
            if followed.ended:
                return
            await moved.wait()

    async def warm(self, report: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Wait for a round as `steps` tells of it, telling `report`; how it went."""
        progress = Progress(self._total)
        async with aclosing(self.steps()) as steps:
            async for progress in steps:
                report(progress)
        return progress

    async def _make_round(self, interval: float | None) -> None:
        present, self._next = self._next, _Round(self._total)
        self._present = present
        began = self._clock()
        if interval is not None:  # the next round is as long again, and the same call may be its last
            present.horizon = Horizon(began, began + interval + 2 * self._lasted)
        waiting = warm_calls(self._section)
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(self._section.concurrency):
                    nursery.start_soon(self._work_off, waiting, present)
        finally:
            self._present = None
            present.end()
        self._lasted = self._clock() - began
        self.last = present.progress()
        self.warmed.set()
        log.info("warmed", calls=present.total, failed=present.failed)

    async def _work_off(self, waiting: Iterator[tuple[str, dict[str, Any]]], present: _Round) -> None:
        for tool, arguments in waiting:
            present.step(await self._call(tool, arguments, present.horizon))

    async def _call(self, tool: str, arguments: dict[str, Any], horizon: Horizon | None) -> str | None:
        """What went wrong with a call, or None."""
        try:
            problem = (await self._catalogue.call(tool, arguments, horizon=horizon)).message
        except GatewayError as error:
            problem = str(error)
        except Exception as error:  # a mistake of ours must not end the gateway, nor the calls beside this one
            log.exception("warming failed", key="warm.calls", tool=tool)
            problem = f"{type(error).__name__}: {error}"
        if problem is None:
            return None
        log.warning("warming failed", key="warm.calls", tool=tool, arguments=arguments, error=problem)
        return f"{tool} {arguments}: {problem}"


def warm_calls(section: Warm) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every tool with every combination of its arguments, in the order of the profile."""
    for call in section.calls:
        for values in itertools.product(*call.each.values()):
            yield call.tool, {**call.arguments, **dict(zip(call.each, values, strict=True))}
