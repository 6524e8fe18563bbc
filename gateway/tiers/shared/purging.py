"""Purges that all instances hear of, each once, also those that were away. Read this beside `scripts.py`."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import structlog
import trio
from coredis.connection import BaseConnection
from coredis.exceptions import RedisError

from gateway.errors import PurgePending, TierError
from gateway.pipeline.invalidation import Selector
from gateway.profile.shared import SharedTier as SharedSection
from gateway.telemetry.metrics import Counts
from gateway.tiers.shared.history import History, heard_of
from gateway.tiers.shared.link import Link
from gateway.tiers.shared.names import Names
from gateway.tiers.shared.remembered import Known, KnownFile, Purge
from gateway.tiers.shared.scripts import BEAT, PURGE

log = structlog.get_logger(__name__)

Apply = Callable[[Selector, bool], Awaitable[object]]
"""Purges what this instance keeps: at once in memory, durably when it returns. Raises TierError."""

_MOST_MISSED = 1000
"""Purges that are caught up with one by one; who has missed more forgets everything, which is quicker."""
_REMEMBERED = 1000
"""Purges that are remembered, whoever made them: they are told again to an engine that has been restarted, since it may
have lost its last writes."""
_BEAT = 1.0
"""Seconds between two looks whether the engine is there, and whether everything that it published was heard."""
_BEATS_TO_SAVE = 60
"""...and after so many it is saved how far everything was heard, also where nothing was purged."""
_MARGIN = 10_000_000
"""Microseconds by which what is saved stays behind: a purge of this instance is heard of from the engine before it is
in the file of the disk tier for good. Those purges are applied again after a restart."""


class Purging:
    """Makes purges known, applies those of others, and knows how far it has come.

    `applied` is what a load that begins now is stamped with. A purge that is made while the engine is down is applied
    here, kept in the file until the engine knows of it, and answered with PurgePending.
    """

    def __init__(self, section: SharedSection, link: Link, names: Names, file: KnownFile, counts: Counts) -> None:
        self._link = link
        self._names = names
        self._file = file
        self._counts = counts
        self._timeout = section.timeout
        self._history = History(section, link, names, counts)
        self._known = Known()
        self._remembered: OrderedDict[str, Purge] = OrderedDict()
        self._untold: dict[str, Purge] = {}
        self._applying: dict[int, None] = {}
        self._changed = trio.Event()
        self._began = 0
        """What was applied for good when the session began."""
        self.heard = 0
        """The latest purge that was heard of; nothing before it was missed."""
        self.apply: Apply = _nothing
        """How this instance purges what it keeps; the assembly says so once there is a pipeline."""

    @property
    def epoch(self) -> str:
        """What is kept in the engine goes by this name."""
        return self._known.epoch

    @property
    def untold(self) -> int:
        """Purges that the others have not been told of yet."""
        return len(self._untold)

    @property
    def applied(self) -> int:
        """Every purge up to this stamp is applied here: nothing that is read from now on is older than that."""
        return min(self._applying) - 1 if self._applying else self.heard

    @property
    def applying(self) -> int:
        """Purges of others that were heard of, and are not done yet."""
        return len(self._applying)

    async def load(self) -> None:
        """Learn from the file what was known at the end of the last process."""
        self._known = await self._file.load()
        self._untold = dict(self._known.untold)
        self.heard = self._began = self._known.applied

    def keep_beside(self, path: Path | None) -> None:
        """Another file of the disk tier is in use from now on, and what is known belongs beside that."""
        self._file.path = path

    def publish(self, selector: Selector, *, soft: bool) -> Callable[[], Awaitable[None]]:
        """Tell all others of a purge that is made here; sent at once, so whatever is asked of the engine later sees it.

        What it returns is to be awaited: it ends when the engine has taken it. Raises PurgePending where it has not,
        once that is remembered.
        """
        purge = Purge(secrets.token_hex(8), selector, soft)
        self._remember(purge)
        self._untold[purge.id] = purge
        if len(self._untold) > _REMEMBERED:  # the engine is down for long: all of them as one, which purges more
            purge = Purge(purge.id, Selector("all"), soft=False)
            self._untold = {purge.id: purge}
        try:
            asked = self._link.ask(PURGE, self._names.purges, *self._history.words(self.epoch, purge), whole=True)
        except TierError as error:
            self._not_taken(error)
            return self._later(purge, error)

        async def told() -> None:
            try:
                await asked.answer()
            except TierError as error:
                if purge.id not in self._untold:  # told meanwhile, on another connection
                    return
                self._not_taken(error)
                try:  # again: what was asked of the engine since may have come back from there
                    await self.apply(purge.selector, purge.soft)
                except TierError as problem:
                    log.warning("what was purged may be there again", tier="shared", error=str(problem))
                await self._later(purge, error)()
            else:
                self._told(purge)

        return told

    async def run_session(self, commands: BaseConnection, news: BaseConnection, up: Callable[[], None]) -> None:
        """Catch up, call `up`, and hear of purges until the connection ends. Raises TierError."""
        news.send_command(b"SUBSCRIBE", self._names.channel)
        async with aclosing(news.push_messages) as messages:
            await self._follow(commands, messages, up)

    async def _follow(
        self, commands: BaseConnection, messages: AsyncIterator[list[Any]], up: Callable[[], None]
    ) -> None:
        try:
            with trio.fail_after(self._timeout):
                await anext(messages)  # that it has subscribed
        except trio.TooSlowError:
            raise TierError("shared: no answer to a subscription (cache.shared.timeout)") from None
        run = await self._history.run_of(commands)
        await self._catch_up(commands, run)
        await self._tell_again(commands, again=self._known.run not in ("", run))
        self._known = replace(self._known, run=run)
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:

            async def until_it_fails(work: Callable[[], Awaitable[None]]) -> None:
                try:
                    await work()
                except (TierError, RedisError) as error:  # what was not purged has to be tried again, from there
                    failures.append(error)
                    nursery.cancel_scope.cancel()

            def hear(stamp: int, purge: Purge) -> None:
                if stamp <= self.heard:
                    return
                self.heard = stamp
                if purge.id not in self._remembered:
                    self._counts.add("heard")
                    self._remember(purge)
                    self._applying[stamp] = None
                    nursery.start_soon(until_it_fails, partial(self._applied, stamp, purge))

            async def listen() -> None:
                async for message in messages:
                    heard = heard_of(message)
                    if heard is None:
                        self._counts.add("unreadable")
                    else:
                        hear(*heard)

            self._note()
            up()
            nursery.start_soon(self._save)
            nursery.start_soon(until_it_fails, partial(self._beat, hear))
            nursery.start_soon(until_it_fails, listen)
        if failures:
            raise TierError(str(failures[0]))

    async def close(self) -> None:
        """Save how far it has come."""
        try:
            await self._file.save(self._current())
        except OSError as error:
            log.warning("how far purges have been heard can't be saved", error=str(error))

    async def _catch_up(self, commands: BaseConnection, run: str) -> None:
        """Apply what was missed; everything, where nobody knows what that was."""
        known = self._known
        epoch, now, since = await self._history.greet(commands, run)
        missed: list[tuple[int, Purge]] = []
        lost = known.epoch != epoch or not since <= known.applied <= now
        if not lost:
            missed = await self._history.since(commands, known.applied, _MOST_MISSED + 1)
            lost = len(missed) > _MOST_MISSED
        self._applying.clear()
        if lost:
            if known.epoch:
                log.warning("nobody knows what was purged meanwhile, so everything kept here is", tier="shared")
            self._counts.add("forgot_all")
            await self.apply(Selector("all"), False)
        else:
            missed = [(stamp, purge) for stamp, purge in missed if purge.id not in self._remembered]
            self._applying = dict.fromkeys(stamp for stamp, _ in missed)
            self._counts.add("caught_up", by=len(missed))
            for stamp, purge in missed:
                self._remember(purge)
                await self._applied(stamp, purge)
        # The stream was read after the greeting, so what is published from then on is all that is still to come.
        self.heard = max([now, *(stamp for stamp, _ in missed)])
        self._began = self.applied
        self._known = replace(known, epoch=epoch, applied=self.applied)

    async def _applied(self, stamp: int, purge: Purge) -> None:
        """Apply a purge of another instance. Raises TierError."""
        try:
            await self.apply(purge.selector, purge.soft)
        except BaseException:
            self._remembered.pop(purge.id, None)  # it is not done, so it has to be heard again
            raise
        self._applying.pop(stamp, None)
        self._note()

    async def _tell_again(self, commands: BaseConnection, *, again: bool) -> None:
        """Tell the engine of what it does not know, or may have forgotten: each purge has an id, so it counts once."""
        purges = {**self._remembered, **self._untold} if again else dict(self._untold)
        for purge in purges.values():
            await self._history.tell(commands, self.epoch, purge)
            self._told(purge)

    def _told(self, purge: Purge) -> None:
        if self._untold.pop(purge.id, None) is not None:
            self._counts.add("published")
            self._changed.set()

    async def _beat(self, hear: Callable[[int, Purge], None]) -> None:
        """See whether the engine is there, and that nothing that it published was lost on the way."""
        for beat in count(1):
            await trio.sleep(_BEAT)
            if self._untold and self._link.commands is not None:  # those of callers that did not wait
                await self._tell_again(self._link.commands, again=False)
            now, last = map(int, await self._link.do(BEAT, self._names.purges, self.epoch))
            if last > self.heard:
                for stamp, purge in await self._missed_news():
                    hear(stamp, purge)
            self.heard = max(self.heard, now)
            if not beat % _BEATS_TO_SAVE:
                self._note()

    async def _missed_news(self) -> list[tuple[int, Purge]]:
        commands = self._link.commands
        return [] if commands is None else await self._history.since(commands, self.heard, _MOST_MISSED)

    def _note(self) -> None:
        if self._known.epoch:
            self._known = replace(self._known, applied=self.applied)
        self._changed.set()

    def _current(self) -> Known:
        applied = max(self._began, min(self._known.applied, self.heard - _MARGIN))
        return replace(self._known, applied=applied, untold=dict(self._untold))

    async def _save(self) -> None:
        """Save how far it has come whenever that has changed."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            try:
                await self._file.save(self._current())
            except OSError as error:
                log.warning("how far purges have been heard can't be saved", error=str(error))

    def _not_taken(self, error: TierError) -> None:
        """Use the engine no more, until it takes what it was not told: it has what was purged (full, read-only)."""
        self._link.close(str(error).removeprefix("shared: "))

    def _later(self, purge: Purge, error: TierError) -> Callable[[], Awaitable[None]]:
        self._counts.add("pending")

        async def told() -> None:
            kept = "" if self._file.durable else ", unless this process ends before"
            try:
                await self._file.save(self._current())
            except OSError as problem:
                kept = f", unless this process ends before: it can't be written down ({problem.strerror or problem})"
            raise PurgePending(f"purged here; the other instances are told when the engine is back{kept}. {error}")

        return told

    def _remember(self, purge: Purge) -> None:
        self._remembered[purge.id] = purge
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)


async def _nothing(_selector: Selector, _soft: bool) -> None:
    """Before there is anything to purge."""
