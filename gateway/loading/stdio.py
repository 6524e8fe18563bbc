"""An MCP server as a child process: requests of many clients over one pair of pipes, told apart by their ids."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any, cast

import orjson
import trio
from trio.abc import ReceiveStream, SendStream

from gateway.errors import GatewayError
from gateway.loading.model import CLOSED, INVALID, Call, Era, Reply
from gateway.loading.wire import INITIALIZED, VERSIONS, call_body, discover_body, initialize_body, judged
from gateway.printable import printable

_CHUNK = 65536
_LARGEST = 64_000_000
_TOLD = 2000
"""Bytes at the end of its stderr that are kept, to say why it ended."""
_METHOD_NOT_FOUND = -32601


class _Waiting:
    """A request that was sent."""

    __slots__ = ("answered", "message", "size")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.message: dict[str, Any] | None = None
        self.size = 0


class StdioTarget:
    """A server's process. All clients share its pipes."""

    def __init__(self, name: str, process: trio.Process) -> None:
        self.name = name
        self.era: Era = "modern"
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._outgoing = bytearray()
        self._more = trio.Event()
        self._ended = False
        self._told = b""

    def client(self) -> StdioClient:
        """One more client."""
        return StdioClient(self)

    async def read(self) -> None:
        """Hand out the answers until stdout ends; those that are still waited for then never come."""
        buffer = bytearray()
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while chunk := await cast("ReceiveStream", self._process.stdout).receive_some(_CHUNK):
                buffer += chunk
                if b"\n" not in chunk:
                    if len(buffer) > _LARGEST:
                        break
                    continue
                *lines, rest = bytes(buffer).split(b"\n")
                buffer = bytearray(rest)
                for line in lines:
                    self._heard(line)
        self._end()

    async def write(self) -> None:
        """Write whatever is to be sent, many requests at once where they come quickly."""
        stdin = cast("SendStream", self._process.stdin)
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while True:
                await self._more.wait()
                self._more = trio.Event()
                data, self._outgoing = bytes(self._outgoing), bytearray()
                await stdin.send_all(data)
        self._end()

    async def listen(self) -> None:
        """Keep the end of what it says on stderr."""
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while chunk := await cast("ReceiveStream", self._process.stderr).receive_some(_CHUNK):
                self._told = (self._told + chunk)[-_TOLD:]

    async def exchange(self, number: int, body: bytes) -> tuple[dict[str, Any] | None, int]:
        """The answer to a request and its size; None where the process has ended."""
        waiting = self._waiting[number] = _Waiting()
        try:
            self.say(body)
            if self._ended:
                await trio.lowlevel.checkpoint()
            else:
                await waiting.answered.wait()
        finally:
            self._waiting.pop(number, None)
        return waiting.message, waiting.size

    def say(self, body: bytes) -> None:
        """Send a message soon."""
        self._outgoing += body + b"\n"
        self._more.set()

    def number(self) -> int:
        """The id of the next request."""
        return next(self._numbers)

    def last_words(self) -> str:
        """The last line that it has written to stderr."""
        lines = self._told.decode("utf-8", "replace").strip().splitlines()
        return printable(lines[-1], 300) if lines else ""

    async def negotiate(self, era: Era | None) -> None:
        """Find out what it speaks, and begin. Raises GatewayError."""
        if era != "handshake":
            number = self.number()
            message, _ = await self.exchange(number, discover_body(number))
            result = (message or {}).get("result")
            modern = isinstance(result, dict) and VERSIONS["modern"] in (result.get("supportedVersions") or ())
            if modern or (era == "modern" and message is not None):
                self.era = "modern"
                return
        self.era = "handshake"
        number = self.number()
        message, _ = await self.exchange(number, initialize_body(number))
        if message is None:
            words = self.last_words()
            raise GatewayError(f"{self.name} ended" + (f": {words}" if words else " without an answer"))
        if "result" not in message:
            reply = judged(message, 0)
            raise GatewayError(f"{self.name} does not answer as an MCP server: {reply.error}: {reply.detail}")
        self.say(INITIALIZED)

    def _heard(self, line: bytes) -> None:
        try:
            message = orjson.loads(line)
        except ValueError:  # noise, or half an answer: whoever waits for it times out
            return
        if not isinstance(message, dict):
            return
        number = message.get("id")
        if "method" in message:
            if number is not None:
                self.say(_answer_to(message))
            return
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is not None:
            waiting.message, waiting.size = message, len(line) + 1
            waiting.answered.set()

    def _end(self) -> None:
        self._ended = True
        for waiting in self._waiting.values():
            waiting.answered.set()


class StdioClient:
    """One of those that ask at once."""

    def __init__(self, target: StdioTarget) -> None:
        self._target = target

    async def open(self) -> Reply:
        """Nothing is to be done: the process has been spoken with."""
        await trio.lowlevel.checkpoint()
        return Reply()

    async def ask(self, call: Call) -> Reply:
        """Make a call."""
        target = self._target
        number = target.number()
        message, size = await target.exchange(number, call_body(target.era, number, call))
        if message is None:
            return Reply(0, CLOSED, target.last_words())
        if "result" not in message and "error" not in message:
            return Reply(size, INVALID, "neither a result nor an error")
        return judged(message, size)

    async def aclose(self) -> None:
        """Nothing is to be done."""
        await trio.lowlevel.checkpoint()


def _answer_to(request: dict[str, Any]) -> bytes:
    """To a request of the server: a ping is answered, anything else is not what a load tester can do."""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
    if request["method"] == "ping":
        answer["result"] = {}
    else:
        answer["error"] = {"code": _METHOD_NOT_FOUND, "message": f"{request['method']} is not supported"}
    return orjson.dumps(answer)
