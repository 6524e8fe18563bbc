"""The opening of a server that is asked by HTTP: whether it is there, and what it speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from gateway.errors import GatewayError
from gateway.loading.address import Address, find_address
from gateway.loading.http import HttpTarget
from gateway.loading.model import UNREACHABLE, Era, Reply


@asynccontextmanager
async def open_http(
    url: str, era: Era | None, *, headers: Mapping[str, str], ca: str | None, patience: float
) -> AsyncIterator[HttpTarget]:
    """The server at `url`, once it was reached; where no era is named, the one that it speaks.

    Raises GatewayError with a sentence where it can't be reached, or speaks no MCP within `patience` seconds.
    """
    address: Address | None = None
    with trio.move_on_after(patience):
        address = await find_address(url, headers, ca)
    if address is None:
        raise GatewayError(f"{url} can't be reached: no connection within {patience:g} s")
    yield HttpTarget(address, era or await _era(address, patience))


async def _era(address: Address, patience: float) -> Era:
    replies: list[Reply] = []
    eras: tuple[Era, ...] = ("modern", "handshake")
    for era in eras:
        reply = Reply(0, f"no answer within {patience:g} s")
        client = HttpTarget(address, era).client()
        with trio.move_on_after(patience):
            reply = await client.probe(era)
        await client.aclose()
        if reply.error is None:
            return era
        replies.append(reply)
    last = replies[-1]
    told = f"{last.error}: {last.detail}" if last.detail else last.error
    problem = "can't be reached" if last.error == UNREACHABLE else "does not answer as an MCP server"
    raise GatewayError(f"{address.url} {problem}: {told}")
