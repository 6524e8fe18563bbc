"""A server's lists held against its pins: what is new is kept, what has changed is set aside and told of."""

from __future__ import annotations

from functools import partial

import structlog
import trio

from gateway.errors import GatewayError
from gateway.printable import printable
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.model import Definitions
from gateway.upstream.mcp.pins import Change, Pins, diff
from gateway.upstream.mcp.pins_file import PinsFile

log = structlog.get_logger(__name__)

_DIFF_LINES = 40
"""Most lines of a difference in the log; `gateway pins` shows the whole."""


async def review(name: str, section: McpUpstream, file: PinsFile, before: Pins, now: Definitions) -> Pins:
    """The pins after the server has listed `now`, written to their file; what is set aside is logged with its diff.

    Where the file can't be written the pins still hold, for as long as this process runs.
    """
    reviewed = partial(Pins.reviewed, now=now, trust=section.trust, declared=section.pins)
    try:
        # Another process may have written it: an operator who accepts, or a gateway of the same profile.
        update = partial(_update, reviewed=reviewed)
        pins, changes = await trio.to_thread.run_sync(file.update, update)
    except GatewayError as error:
        log.warning("the pins of an MCP server are not kept", upstream=name, error=str(error))
        pins, changes = reviewed(before)
    for change in changes:
        _tell(name, change)
    return pins


def _update(
    kept: Pins, reviewed: partial[tuple[Pins, tuple[Change, ...]]]
) -> tuple[Pins, tuple[Pins, tuple[Change, ...]]]:
    pins, changes = reviewed(kept)
    return pins, (pins, changes)


def _tell(name: str, change: Change) -> None:
    lines = diff(change.kind, change.accepted, change.pending).split("\n")
    more = [f"… {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    why = "it was never accepted" if change.accepted is None else "it has changed since it was accepted"
    log.warning(
        "a definition of an MCP server is set aside",
        reason=why,
        upstream=name,
        definition=f"{change.kind}/{printable(change.own)}",
        diff=[printable(line, 300) for line in (*lines[:_DIFF_LINES], *more)],
        remedy=f"gateway pins accept {name} {change.kind}/{printable(change.own)}",
    )
