"""An MCP server as a child process: messages over its stdin and stdout, its stderr in the log."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import anyio
import mcp_types as types
import structlog
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from trio.abc import ReceiveStream, SendStream

from gateway.errors import UpstreamUnavailable
from gateway.printable import printable
from gateway.profile.units import format_size
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.chatter import Chatter
from gateway.upstream.mcp.framing import Framing, TooLong, answered
from gateway.upstream.mcp.model import REJECTED

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


@asynccontextmanager
async def open_stdio(
    name: str, section: McpUpstream, environ: Mapping[str, str], lost: Callable[[], None]
) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """The server's messages and the way to send some; leaving the block ends it with all its children.

    As the protocol has it (2025-11-25, "Lifecycle", "Shutdown"), its stdin is closed first, and its process group gets
    SIGTERM and SIGKILL only if it does not end by itself. `lost` is called when one of the pipes has ended.
    Raises UpstreamUnavailable when it can't be started.
    """
    process = await _start(name, section, environ)
    to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_session = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
    pipes = _Pipes(name, section.max_response_size, process, to_session, from_session, lost)
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
    inherited = {key: environ[key] for key in INHERITED if key in environ and not environ[key].startswith("()")}
    try:
        return await trio.lowlevel.open_process(
            section.command or (),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **section.env},
            cwd=_folder(section),
            start_new_session=True,  # a process group of its own, to be ended as a whole
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        program = printable((section.command or ("",))[0])
        raise UpstreamUnavailable(name, f"{program} can't be started: {reason} (upstreams.{name}.command)") from error


async def _stop(name: str, process: trio.Process, patience: float) -> None:
    stdin, stdout, stderr = _pipes(process)
    await trio.aclose_forcefully(stdin)
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            _signal(process.pid, number)
        with trio.move_on_after(patience if number is not signal.SIGKILL else _KILLED):
            await process.wait()
            break
    else:
        log.warning("a killed MCP server is still there", upstream=name, pid=process.pid)
    _signal(process.pid, signal.SIGKILL)  # what it has started and left behind
    for pipe in (stdout, stderr):
        await trio.aclose_forcefully(pipe)


def _folder(section: McpUpstream) -> Path | None:
    return Path(section.cwd).expanduser() if section.cwd is not None else None


def _pipes(process: trio.Process) -> tuple[SendStream, ReceiveStream, ReceiveStream]:
    """All three: the process was started with them."""
    pipes = process.stdin, process.stdout, process.stderr
    return cast("tuple[SendStream, ReceiveStream, ReceiveStream]", pipes)


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
        lost: Callable[[], None],
    ) -> None:
        self._name = name
        self._limit = limit
        self._framing = Framing(limit)
        self._stdin, self._stdout, self._stderr = _pipes(process)
        self._to_session = to_session
        self._from_session = from_session
        self._lost = lost
        self._chatter = Chatter(name)
        self._noise = Chatter(name)

    async def read(self) -> None:
        """Pass each line of stdout on; the end of stdout is the end of the session."""
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while chunk := await self._stdout.receive_some(_CHUNK):
                for line in self._framing.feed(bytes(chunk)):
                    match line:
                        case TooLong():
                            await self._too_long(line)
                        case bytes():
                            await self._pass_on(line)
        self._lost()
        await self._to_session.aclose()

    async def write(self) -> None:
        """Write what the session sends. A server that has closed its stdin is no server any more."""
        try:
            async for item in self._from_session:
                try:
                    line = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
                except ValueError as error:  # half of a surrogate pair: no JSON text can hold it
                    await self._fail(item.message, f"the request can't be written as JSON: {error}")
                    continue
                await self._stdin.send_all(line + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lost()
            await self._to_session.aclose()

    async def listen(self) -> None:
        """Write what the server says on stderr into the log, as far as that stays within reason."""
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while chunk := await self._stderr.receive_some(_CHUNK):
                self._chatter.heard(bytes(chunk), trio.current_time())
        self._chatter.ended()

    async def _pass_on(self, line: bytes) -> None:
        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            await self._unreadable(line)
            return
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the session is over: it is read off
            await self._to_session.send(SessionMessage(message))

    async def _unreadable(self, line: bytes) -> None:
        request = answered(line, line)
        if request is None:
            self._noise.noise(line, trio.current_time())
        else:  # whoever waits for it need not wait for nothing
            await self._answer(request, types.ErrorData(code=REJECTED, message="its answer is no JSON"))

    async def _too_long(self, line: TooLong) -> None:
        limit = f"{format_size(self._limit)} (upstreams.{self._name}.max_response_size)"
        log.warning("a message of an MCP server is too long and was dropped", upstream=self._name, limit=limit)
        if line.answers is not None:  # whoever waits for it need not wait for nothing
            error = types.ErrorData(code=REJECTED, message=f"the answer is larger than {limit}")
            await self._answer(line.answers, error)

    async def _fail(self, message: types.JSONRPCMessage, reason: str) -> None:
        if isinstance(message, types.JSONRPCRequest):
            await self._answer(message.id, types.ErrorData(code=types.INVALID_PARAMS, message=reason))

    async def _answer(self, request: types.RequestId, error: types.ErrorData) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            answer = types.JSONRPCError(jsonrpc="2.0", id=request, error=error)
            await self._to_session.send(SessionMessage(answer))
