"""Notices new releases of an upstream, and makes what depends on them new."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

import structlog
import trio

from gateway.catalogue.documents import Documents, Reading
from gateway.errors import GatewayError
from gateway.pipeline.model import Policy

log = structlog.get_logger(__name__)


class VersionWatch:
    """Asks one upstream for its `latest` every `interval` seconds; calls `changed` when it is another one.

    The first look only learns what the latest is: what is kept from before the start expires by its strategy. `seen`
    has what a watch before this one saw, by the upstream.
    """

    def __init__(
        self,
        documents: Documents,
        upstream: str,
        interval: float,
        changed: Callable[[str, str, str], Awaitable[None]],
        seen: MutableMapping[str, str] | None = None,
    ) -> None:
        self._documents = documents
        self._upstream = upstream
        self._interval = interval
        self._changed = changed
        self._seen = {} if seen is None else seen

    @property
    def latest(self) -> str | None:
        """The latest release, as far as it is known."""
        return self._seen.get(self._upstream)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look now and every interval, until cancelled. An upstream that does not answer is asked the next time."""
        task_status.started()
        while True:
            try:
                await self.look()
            except GatewayError as error:
                log.warning("can't look for new releases", upstream=self._upstream, error=str(error))
            except Exception:  # a mistake of ours must not end the gateway that this looks after
                log.exception("can't look for new releases", upstream=self._upstream)
            await trio.sleep(self._interval)

    async def look(self) -> None:
        """Ask for the latest release; raises UpstreamError when it can't be told, TierError when a purge failed."""
        # Nothing kept will do; what is brought counts as fresh until the next look.
        policy = Policy("watch", ttl=self._interval * 2).at_most(0.0)
        release = await self._documents.resolve(self._upstream, "latest", Reading(policy, revalidate=True))
        before = self.latest
        if before is not None and before != release.name:
            log.info("new release", upstream=self._upstream, before=before, latest=release.name)
            await self._changed(self._upstream, before, release.name)
        self._seen[self._upstream] = release.name  # only now: what fails above is done at the next look
