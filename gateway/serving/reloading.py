"""Reloads: the profile is read anew, checked, opened beside what runs, and takes its place; or nothing changes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
import trio

from gateway.errors import GatewayError
from gateway.profile.difference import Difference, differences, needs_restart
from gateway.profile.loader import Loaded
from gateway.profile.serving import Logging
from gateway.telemetry.logs import set_up_logging
from gateway.telemetry.metrics import Counts, Metric

log = structlog.get_logger(__name__)

_SETTLED = 300
"""Milliseconds without a further change of a file after which it counts as written, at most twice as many."""
_UNWATCHED = 10.0
"""Seconds after which files that can't be watched are tried again."""
_SHOWN = 20
"""Keys that a log line names."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """How a reload went."""

    at: float
    """Seconds since the epoch."""
    asked_by: str
    error: str | None = None
    """Why nothing has changed; None where the profile as it is now is in force."""
    changes: tuple[Difference, ...] = ()
    restart: tuple[str, ...] = ()
    """What differs and takes effect at a restart only."""


class Reloadable(Protocol):
    """What runs on a profile."""

    replaced: trio.Event
    """Set when another profile takes its place, and then another event."""

    @property
    def loaded(self) -> Loaded:
        """The profile in force."""

    async def replace(self, loaded: Loaded) -> None:
        """Put another one in force; raises what keeps it from that, and then all is as before."""


class Reloader:
    """Reloads the profile of `running`, which `reread` loads from its files, one time after the other.

    A reload that fails leaves everything as it was; none begins once `stop` is set. `run` is the service that does it
    on SIGHUP, and when a file of the profile changes where `server.reload_on_change` says so.
    """

    def __init__(self, running: Reloadable, reread: Callable[[], Loaded], stop: trio.Event) -> None:
        self._running = running
        self._stop = stop
        self._reread = reread
        self._turn = trio.StrictFIFOLock()
        self._counts = Counts("gateway_reloads", "Reloads of the profile: `outcome` is done or failed", "outcome")
        self._loaded_at = time.time()
        self.last: Reloaded | None = None
        """How the last one went; None before the first."""
        self.begins: Callable[[], None] = lambda: None
        self.ends: Callable[[], None] = lambda: None
        """Called around each, for who wants to be told of it."""

    async def reload(self, asked_by: str) -> Reloaded:
        """Reload now; how it went. Once begun, it is brought to its end, also when who asked for it is gone."""
        async with self._turn:
            if self._stop.is_set():
                return Reloaded(time.time(), asked_by, "the gateway is stopping")
            self.begins()
            try:
                with trio.CancelScope(shield=True):
                    self.last = reloaded = await self._reload(asked_by)
            finally:
                self.ends()
        return reloaded

    def metrics(self) -> list[Metric]:
        """How many there were, and since when the profile is in force."""
        about = "When the profile in force was loaded, in seconds since the epoch"
        loaded = Metric("gateway_profile_loaded_timestamp_seconds", about, "gauge", (), {(): self._loaded_at})
        return [self._counts.metric(), loaded]

    async def run(self, hangups: AsyncIterator[int] | None = None) -> None:
        """Reload at each of `hangups`, and when files change where the profile wants that, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_files)
            if hangups is not None:
                async for _ in hangups:
                    await self.reload("SIGHUP")

    async def _reload(self, asked_by: str) -> Reloaded:
        before = self._running.loaded
        now = time.time()
        try:
            loaded = await trio.to_thread.run_sync(self._reread)
            changes = tuple(differences(before, loaded))
            restart = tuple(needs_restart(before.profile, loaded.profile))
            if loaded.profile != before.profile:
                with _logging_as(loaded.profile.logging, before.profile.logging):
                    await self._running.replace(loaded)
        except Exception as error:  # also a mistake of ours: what runs must not end with what can't take its place
            reason = _reason(error)
            self._counts.add("failed")
            if reason is None:
                log.exception("reload failed, what was loaded before goes on", asked_by=asked_by)
                return Reloaded(now, asked_by, f"{type(error).__name__}: {error}")
            log.error("reload failed, what was loaded before goes on", asked_by=asked_by, error=str(reason))  # noqa: TRY400
            return Reloaded(now, asked_by, str(reason))
        self._counts.add("done")
        self._loaded_at = now
        keys = [each.key for each in changes]
        log.info("profile reloaded", asked_by=asked_by, changes=len(keys), keys=keys[:_SHOWN])
        if restart:
            log.warning("some changes take effect at a restart", keys=list(restart))
        return Reloaded(now, asked_by, None, changes, restart)

    async def _watch_files(self) -> None:
        """Reload when a file of the profile changes, for as long as the profile wants that."""
        while True:
            replaced = self._running.replaced
            async with trio.open_nursery() as nursery:
                loaded = self._running.loaded
                if loaded.profile.server.reload_on_change:
                    nursery.start_soon(self._reload_at_changes, loaded.files)
                await replaced.wait()  # the files may be others now
                nursery.cancel_scope.cancel()

    async def _reload_at_changes(self, files: Sequence[Path]) -> None:
        """As long as they can be watched; else it is tried again, for the gateway goes on without."""
        while True:
            try:
                await self._follow(files)
            except OSError as error:  # their folder is gone, or the system has no inotify instance left
                log.warning("the profile's files can't be watched", key="server.reload_on_change", error=str(error))
            await trio.sleep(_UNWATCHED)

    async def _follow(self, files: Sequence[Path]) -> None:
        from watchfiles import awatch  # only where a profile asks for it

        # Their folders, since editors put another file in a file's place.
        folders = {file.parent for file in files}
        names = {str(file) for file in files}
        watching = awatch(
            *folders,
            recursive=False,
            watch_filter=lambda _, path: path in names,
            debounce=_SETTLED,
            rust_timeout=_SETTLED,
            yield_on_timeout=True,
        )
        began = False
        async with aclosing(watching) as turns:
            async for changed in turns:
                # The first turn says that from now on nothing is missed; before that, something may have been.
                if changed or (not began and await self._differs()):
                    await self.reload("a changed file")
                began = True

    async def _differs(self) -> bool:
        """Whether the files say something else than what is in force."""
        try:
            return (await trio.to_thread.run_sync(self._reread)).profile != self._running.loaded.profile
        except Exception:  # the reload says what it is
            return True


def _reason(error: BaseException) -> BaseException | None:
    """What is wrong with the profile or its surroundings; None for a mistake of ours."""
    if isinstance(error, BaseExceptionGroup):
        return next((reason for each in error.exceptions if (reason := _reason(each)) is not None), None)
    return error if isinstance(error, GatewayError | OSError) else None


@contextmanager
def _logging_as(section: Logging, before: Logging) -> Iterator[None]:
    """Log as `section` says from the block on, since what is opened there keeps to it; as before where it fails."""
    if (section.level, section.format) == (before.level, before.format):
        yield
        return
    set_up_logging(section.level, section.format)
    try:
        yield
    except BaseException:
        set_up_logging(before.level, before.format)
        raise
