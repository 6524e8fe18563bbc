"""Notices changes in the folder of an upstream, and makes what was made of its files new."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

import structlog
import trio

from gateway.errors import GatewayError
from gateway.upstream.model import Upstream, Wanted

log = structlog.get_logger(__name__)

FILES = Wanted("")
"""The document that lists the files."""
_START = 1.0
"""Seconds for which nothing is served before a folder is known; one that takes longer holds nobody up."""
UNSEEN = b""
"""In place of the list of a folder that is served before it was looked into: the first look counts as a change."""


class FolderWatch:
    """Lists the files of one upstream every `interval` seconds; calls `changed` when the list is another one.

    The list tells names, sizes and times. The look before anything is served only learns it; where that one failed, the
    next counts as a change, since what was served meanwhile may be older. `seen` has what a watch before this one saw,
    by the upstream, or UNSEEN.
    """

    def __init__(
        self,
        upstream: Upstream,
        interval: float,
        changed: Callable[[str], Awaitable[None]],
        seen: MutableMapping[str, bytes] | None = None,
    ) -> None:
        self._upstream = upstream
        self._interval = interval
        self._changed = changed
        self._seen = {} if seen is None else seen

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look now and every interval, until cancelled; it has started when the first look is over.

        A folder that can't be read is looked into the next time.
        """
        with trio.move_on_after(_START) as first:
            await self._try_to_look()
        if first.cancelled_caught:
            log.warning("looking for changed files takes long", upstream=self._upstream.name)
        self._seen.setdefault(self._upstream.name, UNSEEN)
        task_status.started()
        while True:
            await trio.sleep(self._interval)
            await self._try_to_look()

    async def _try_to_look(self) -> None:
        try:
            await self.look()
        except GatewayError as error:
            log.warning("can't look for changed files", upstream=self._upstream.name, error=str(error))
        except Exception:  # a mistake of ours must not end the gateway that this looks after
            log.exception("can't look for changed files", upstream=self._upstream.name)

    async def look(self) -> None:
        """List the files; raises UpstreamError when they can't be listed, TierError when a purge failed."""
        files = (await self._upstream.fetch(FILES)).body
        before = self._seen.get(self._upstream.name)
        if before is not None and files != before:
            log.info("files changed", upstream=self._upstream.name)
            await self._changed(self._upstream.name)
        self._seen[self._upstream.name] = files  # only now: what fails above is done at the next look
