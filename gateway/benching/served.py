"""Gateways as processes of their own: hits over HTTP and stdio, and how long one takes to start for its agent."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import cast

import orjson
import trio
from trio.abc import ReceiveStream

from gateway.benching.iterations import waited_for
from gateway.benching.model import Iteration, Subject
from gateway.benching.surroundings import own_environment, write_profile
from gateway.errors import GatewayError
from gateway.loading.model import Call, Client, Era
from gateway.loading.opening import open_http
from gateway.loading.process import open_stdio
from gateway.printable import printable

_PATIENCE = 60.0
"""Seconds for a process to start on a busy machine."""
_GRACE = 5.0
"""Seconds for one to end after SIGTERM."""
_CALL = Call("read_file", {"name": "button"})
_ADDRESS = re.compile(rb"^gateway: .* at (http://\S+)", re.MULTILINE)
_TOLD = 4000


@asynccontextmanager
async def _hit_http(folder: Path, *, era: Era) -> AsyncIterator[Iteration]:
    async with (
        _open_serving(await write_profile(folder)) as url,
        open_http(url, era, headers={}, ca=None, patience=_PATIENCE) as target,
    ):
        client = target.client()
        await _ask(client)
        try:
            yield waited_for(partial(_ask, client))
        finally:
            await client.aclose()


@asynccontextmanager
async def _hit_stdio(folder: Path) -> AsyncIterator[Iteration]:
    command = _command("stdio", await write_profile(folder))
    async with open_stdio(shlex.join(command), "modern", patience=_PATIENCE, environ=own_environment()) as target:
        client = target.client()
        await _ask(client)
        yield waited_for(partial(_ask, client))


@asynccontextmanager
async def _start(folder: Path, *, listed: bool) -> AsyncIterator[Iteration]:
    command, environ = shlex.join(_command("stdio", await write_profile(folder))), own_environment()

    async def iterate() -> float:
        began = perf_counter()
        async with open_stdio(command, "handshake", patience=_PATIENCE, environ=environ) as target:
            if listed:
                number = target.number()
                body = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {}})
                message, _ = await target.exchange(number, body)
                if message is None or "result" not in message:
                    raise GatewayError(f"expected an answer to tools/list, found {target.last_words() or message}")
            return perf_counter() - began  # without the time that ending it takes

    yield iterate


async def _ask(client: Client) -> None:
    reply = await client.ask(_CALL)
    if reply.error is not None:
        raise GatewayError(f"expected an answer of {_CALL.tool}, found {reply.error}: {reply.detail}")


@asynccontextmanager
async def _open_serving(profile: Path) -> AsyncIterator[str]:
    """The address of a gateway that serves MCP over HTTP, in a process that ends with the block."""
    process = await trio.lowlevel.open_process(
        _command("serve", profile),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=own_environment(),
        start_new_session=True,  # Ctrl-C ends the suite, which ends the gateway
    )
    stderr = cast("ReceiveStream", process.stderr)
    try:
        address = await _address(stderr)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drain, stderr)
            yield address
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await _ended(process)
            await stderr.aclose()


async def _address(stderr: ReceiveStream) -> str:
    """The address that a gateway greets with. Raises GatewayError where it ends, or does not say so in time."""
    told = b""
    with trio.move_on_after(_PATIENCE):
        while chunk := await stderr.receive_some():
            told += chunk
            found = _ADDRESS.search(told)
            if found is not None and told.endswith(b"\n"):
                return found[1].decode()
    words = printable(told[-_TOLD:].decode(errors="replace").strip(), 300)
    raise GatewayError(f"expected a gateway that serves HTTP, found one that says {words or 'nothing'}")


async def _drain(stderr: ReceiveStream) -> None:
    while await stderr.receive_some():
        pass


async def _ended(process: trio.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        with trio.move_on_after(_GRACE):
            await process.wait()
            return


def _command(name: str, profile: Path) -> list[str]:
    return [sys.executable, "-m", "gateway", name, "--profile", str(profile)]


SUBJECTS = (
    Subject("hit.http.modern", "the hit over HTTP, MCP 2026-07-28", partial(_hit_http, era="modern")),
    Subject("hit.http.handshake", "the hit over HTTP, MCP 2025-11-25", partial(_hit_http, era="handshake")),
    Subject("hit.stdio", "the hit over stdio", _hit_stdio),
    Subject(
        "startup.stdio.initialize",
        "gateway stdio from its start until it has answered initialize",
        partial(_start, listed=False),
        share=100,
    ),
    Subject("startup.stdio.tools", "...and tools/list", partial(_start, listed=True), share=100),
)
