"""An HTTP server on a loopback socket that answers what a test scripts, byte for byte."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import trio

Handler = Callable[["Request", trio.SocketStream], Awaitable[None]]
Script = bytes | Handler


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


def answer(
    body: bytes = b"",
    content_type: str = "application/json",
    *,
    status: str = "200 OK",
    headers: dict[str, str] | None = None,
) -> bytes:
    """A well-formed answer with Content-Length."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body


def gzipped(body: bytes, times: int = 1) -> bytes:
    """An answer whose body says that it was compressed `times` times, and was."""
    for _ in range(times):
        body = gzip.compress(body)
    return answer(body, headers={"Content-Encoding": ", ".join(["gzip"] * times)})


async def silent(_request: Request, _stream: trio.SocketStream) -> None:
    """Never answers."""
    await trio.sleep_forever()


def cut_off(head: bytes) -> Handler:
    """Sends `head`, then closes the connection."""

    async def handler(_request: Request, stream: trio.SocketStream) -> None:
        await stream.send_all(head)
        await stream.aclose()

    return handler


def then_silent(head: bytes) -> Handler:
    """Sends `head`, then nothing more."""

    async def handler(_request: Request, stream: trio.SocketStream) -> None:
        await stream.send_all(head)
        await trio.sleep_forever()

    return handler


async def reset(_request: Request, stream: trio.SocketStream) -> None:
    """Closes the connection with a TCP reset instead of an end."""
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    stream.socket.close()


@dataclass
class HttpServer:
    """Answers each path by its script; the last one of a path's scripts stays."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    scripts: dict[str, list[Script]] = field(default_factory=dict)
    connections: int = 0
    closed: trio.Event = field(default_factory=trio.Event)
    """Set when a client has closed a connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, target: str, *scripts: Script) -> None:
        self.scripts[target] = list(scripts)

    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    def script_for(self, request: Request) -> Script:
        scripts = self.scripts.get(request.target, [answer(b"", status="404 Not Found")])
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            async with stream:
                while request := await _read_request(stream):
                    self.requests.append(request)
                    script = self.script_for(request)
                    if isinstance(script, bytes):
                        await stream.send_all(script)
                    else:
                        await _until_closed(stream, script, request)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # the client went away, which is what many tests are about
        finally:
            self.closed.set()


async def _until_closed(stream: trio.SocketStream, script: Handler, request: Request) -> None:
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await script(request, stream)
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        with suppress(OSError, trio.ClosedResourceError):
            while await stream.socket.recv(1):
                pass
        nursery.cancel_scope.cancel()


async def _read_request(stream: trio.SocketStream) -> Request | None:
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.receive_some()
        if not data:
            return None
        head += data
        if head.startswith(b"\x16\x03"):  # a TLS handshake
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return None
    head, _, body = head.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    while len(body) < int(headers.get("content-length", "0")):
        data = await stream.receive_some()
        if not data:
            return None
        body += data
    return Request(method, target, headers, body)
