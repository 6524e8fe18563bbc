"""The warmer: makes the calls of `[warm]` ahead, so that the first question is answered from the cache."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from gateway.catalogue.catalogue import Catalogue
from gateway.errors import GatewayError
from gateway.profile.tools import Warm

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a round of warming is."""

    total: int
    done: int = 0
    failed: int = 0
    failures: tuple[str, ...] = ()
    """The first few failures, a sentence each."""


@dataclass(slots=True)
class _Round:
    total: int
    report: Callable[[Progress], None]
    done: int = 0
    failures: list[str] = field(default_factory=list)

    def progress(self) -> Progress:
        return Progress(self.total, self.done, len(self.failures), tuple(self.failures[:_SHOWN]))


_SHOWN = 20


class Warmer:
    """Calls tools as an agent would, a few at once. A call that fails is logged and counted, and stops nothing."""

    def __init__(self, catalogue: Catalogue, section: Warm) -> None:
        self._catalogue = catalogue
        self._section = section
        self._wanted = trio.Event()
        self.warmed = trio.Event()
        """Set once a round is through, whatever its failures."""
        self.last: Progress | None = None
        """How the last round went."""

    def purged(self) -> None:
        """Something was purged: warm again if the profile says so. Several purges before a round are one."""
        if self._section.after_purge:
            self.request()

    def request(self) -> None:
        """Warm again as soon as the present round is through."""
        self._wanted.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Warm on start, on request and at every interval, as the profile says, until cancelled."""
        if self._section.on_start:
            self.request()
        else:
            self.warmed.set()
        task_status.started()
        while True:
            with trio.move_on_after(self._section.interval if self._section.interval is not None else float("inf")):
                await self._wanted.wait()
            self._wanted = trio.Event()
            progress = await self.warm()
            self.warmed.set()
            log.info("warmed", calls=progress.total, failed=progress.failed)

    async def warm(self, report: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Make every call once, telling `report` after each; how it went. Cancelling leaves the rest out."""
        calls = list(_calls(self._section))
        current = _Round(len(calls), report)
        report(current.progress())
        waiting = iter(calls)
        async with trio.open_nursery() as nursery:
            for _ in range(self._section.concurrency):
                nursery.start_soon(self._work_off, waiting, current)
        self.last = current.progress()
        return self.last

    async def _work_off(self, waiting: Iterator[tuple[str, dict[str, Any]]], current: _Round) -> None:
        for tool, arguments in waiting:
            await self._call(tool, arguments, current)

    async def _call(self, tool: str, arguments: dict[str, Any], current: _Round) -> None:
        try:
            result = await self._catalogue.call(tool, arguments)
            problem = result.message
        except GatewayError as error:
            problem = str(error)
        except Exception as error:  # a mistake of ours must not end the gateway, nor the calls beside this one
            log.exception("warming failed", key="warm.calls", tool=tool)
            problem = f"{type(error).__name__}: {error}"
        current.done += 1
        if problem is not None:
            current.failures.append(f"{tool} {arguments}: {problem}")
            log.warning("warming failed", key="warm.calls", tool=tool, arguments=arguments, error=problem)
        current.report(current.progress())


def _calls(section: Warm) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every tool with every combination of its arguments, in the order of the profile."""
    for call in section.calls:
        for values in itertools.product(*call.each.values()):
            yield call.tool, {**call.arguments, **dict(zip(call.each, values, strict=True))}
