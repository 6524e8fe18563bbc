"""An MCP server as a child process: messages over its stdin and stdout, its stderr in the log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import mcp_types as types
import structlog
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from gateway.errors import UpstreamUnavailable
from gateway.profile.units import format_size
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.chatter import Chatter
from gateway.upstream.printable import printable

log = structlog.get_logger(__name__)

Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]

INHERITED = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER")
"""What a server gets of the gateway's environment, as in the SDKs: the rest may hold credentials of others."""

_CHUNK = 65536
_QUEUE = 64
"""Messages that may wait for a server that does not read, so that a call that is given up can still say so."""
_KILLED = 2.0
"""Seconds for the kernel to end what was killed; only what hangs in a driver takes longer."""
_ENDS = 200
"""Bytes at either end of a line that is too long in which its id is looked for."""
_ID_FIRST = re.compile(rb'^\{"jsonrpc":\s*"2\.0",\s*"id":\s*(\d{1,18}),')
_ID_LAST = re.compile(rb'"id":\s*(\d{1,18})\}\s*$')


@asynccontextmanager
async def open_stdio(
    name: str, section: McpUpstream, environ: Mapping[str, str]
) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """The server's messages and the way to send some; leaving the block ends it with all its children.

    As the protocol has it (2025-11-25, "Lifecycle", "Shutdown"), its stdin is closed first, and its process group gets
    SIGTERM and SIGKILL only if it does not end by itself. Raises UpstreamUnavailable when it can't be started.
    """
    process = await _start(name, section, environ)
    to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_session = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
    pipes = _Pipes(name, section.max_response_size, process, to_session, from_session)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pipes.read)
            nursery.start_soon(pipes.write)
            nursery.start_soon(pipes.listen)
            try:
                yield incoming, outgoing
            finally:
                with trio.CancelScope(shield=True):
                    await _stop(name, process, section.stop_timeout)
                nursery.cancel_scope.cancel()
    finally:
        for stream in (to_session, incoming, outgoing, from_session):
            stream.close()


async def _start(name: str, section: McpUpstream, environ: Mapping[str, str]) -> trio.Process:
    assert section.command is not None
    inherited = {key: environ[key] for key in INHERITED if key in environ and not environ[key].startswith("()")}
    cwd = Path(section.cwd).expanduser() if section.cwd is not None else None
    try:
        return await trio.lowlevel.open_process(
            section.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **section.env},
            cwd=cwd,
            start_new_session=True,  # a process group of its own, to be ended as a whole
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        program = printable(section.command[0])
        raise UpstreamUnavailable(name, f"{program} can't be started: {reason} (upstreams.{name}.command)") from error


async def _stop(name: str, process: trio.Process, patience: float) -> None:
    assert process.stdin is not None
    await trio.aclose_forcefully(process.stdin)
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            _signal(process.pid, number)
        with trio.move_on_after(patience if number is not signal.SIGKILL else _KILLED):
            await process.wait()
            break
    else:
        log.warning("a killed MCP server is still there", upstream=name, pid=process.pid)
    _signal(process.pid, signal.SIGKILL)  # what it has started and left behind
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            await trio.aclose_forcefully(pipe)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


class _Pipes:
    """What goes through the three pipes of one process."""

    def __init__(
        self,
        name: str,
        limit: int,
        process: trio.Process,
        to_session: MemoryObjectSendStream[SessionMessage | Exception],
        from_session: MemoryObjectReceiveStream[SessionMessage],
    ) -> None:
        self._name = name
        self._limit = limit
        self._process = process
        self._to_session = to_session
        self._from_session = from_session
        self._chatter = Chatter(name)

    async def read(self) -> None:
        """Pass each line of stdout on; the end of stdout is the end of the session."""
        assert self._process.stdout is not None
        buffer, tail, dropping = bytearray(), b"", False
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while chunk := await self._process.stdout.receive_some(_CHUNK):
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    if dropping or len(line) > self._limit:
                        await self._too_long(bytes(line[:_ENDS]) if not dropping else head, tail + line[-_ENDS:])
                        dropping = False
                    elif line.strip():
                        await self._pass_on(bytes(line))
                if len(buffer) > self._limit or dropping:
                    head = bytes(buffer[:_ENDS]) if not dropping else head
                    buffer, tail, dropping = bytearray(), (tail + buffer)[-_ENDS:], True
                else:
                    tail = b""
        await self._to_session.aclose()

    async def write(self) -> None:
        """Write what the session sends. A server that has closed its stdin is no server any more."""
        assert self._process.stdin is not None
        try:
            async for item in self._from_session:
                try:
                    line = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
                except ValueError as error:  # half of a surrogate pair: no JSON text can hold it
                    await self._fail(item.message, f"the request can't be written as JSON: {error}")
                    continue
                await self._process.stdin.send_all(line + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._to_session.aclose()

    async def listen(self) -> None:
        """Write what the server says on stderr into the log, as far as that stays within reason."""
        assert self._process.stderr is not None
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while chunk := await self._process.stderr.receive_some(_CHUNK):
                self._chatter.heard(chunk, trio.current_time())
        self._chatter.ended()

    async def _pass_on(self, line: bytes) -> None:
        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self._chatter.noise(line, trio.current_time())
            return
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the session is over: it is read off
            await self._to_session.send(SessionMessage(message))

    async def _too_long(self, head: bytes, tail: bytes) -> None:
        limit = f"{format_size(self._limit)} (upstreams.{self._name}.max_response_size)"
        log.warning("a message of an MCP server is too long and was dropped", upstream=self._name, limit=limit)
        found = _ID_FIRST.match(head) or _ID_LAST.search(tail)
        if found is not None:  # whoever waits for it need not wait for nothing
            error = types.ErrorData(code=types.INTERNAL_ERROR, message=f"the answer is larger than {limit}")
            await self._answer(int(found[1]), error)

    async def _fail(self, message: types.JSONRPCMessage, reason: str) -> None:
        if isinstance(message, types.JSONRPCRequest):
            await self._answer(message.id, types.ErrorData(code=types.INVALID_PARAMS, message=reason))

    async def _answer(self, request: types.RequestId, error: types.ErrorData) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            answer = types.JSONRPCError(jsonrpc="2.0", id=request, error=error)
            await self._to_session.send(SessionMessage(answer))
