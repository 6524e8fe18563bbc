"""A server that answers every tool call at once, as quickly as Python can: what a load tester is measured against."""

from __future__ import annotations

import re
import socket
import sys

import httptools
import trio

_ID = re.compile(rb'"id":(\d+)')
_RESULT = b',"result":{"resultType":"complete","content":[{"type":"text","text":"%b"}]}}'


class _Connection:
    """Reads requests by llhttp on a plain socket, on which Trio only waits."""

    def __init__(self, own: socket.socket, text: bytes) -> None:
        self._socket = own
        self._result = _RESULT % text
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    async def serve(self) -> None:
        try:
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                try:
                    data = self._socket.recv(65536)
                except BlockingIOError:
                    continue
                if not data:
                    return
                self._parser.feed_data(data)
        except OSError:
            pass  # the client went away
        finally:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        found = _ID.search(self._body)
        body = b'{"jsonrpc":"2.0","id":' + (found[1] if found else b"0") + self._result
        self._socket.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


async def serve(size: int) -> None:
    """Serve on a free port of loopback, which is printed, until killed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                own, _ = listener.accept()
            except BlockingIOError:
                continue
            own.setblocking(False)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            nursery.start_soon(_Connection(own, b"x" * size).serve)


if __name__ == "__main__":
    trio.run(serve, int(sys.argv[1]) if len(sys.argv) > 1 else 20)
