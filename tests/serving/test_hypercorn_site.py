"""Connections that hypercorn serves, on its own sockets and handed over, on real sockets."""

from __future__ import annotations

import logging
import socket
from typing import Any, cast

import pytest
import trio
from hypercorn.typing import ASGIFramework

from gateway.serving.at_path import at_path
from gateway.serving.front.handover import Hypercorn
from gateway.serving.hypercorn_site import HypercornSite, quiet_config
from gateway.serving.switch import Switch

_CHUNKS = 200
_TIMES = 30
_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("handed_over", [False, True])
async def test_who_breaks_the_protocol_while_it_is_answered_is_left_quietly(
    caplog: pytest.LogCaptureFixture, handed_over: bool
) -> None:
    """Its reader closes the connection, which whoever sends in that moment need not tell anybody."""
    answering = _Streaming()
    app = at_path("/", cast("ASGIFramework", answering), streams=False)
    stop = trio.Event()
    with socket.socket() as listener, trio.fail_after(30):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with trio.open_nursery() as nursery:
            if handed_over:
                nursery.start_soon(_accept, Hypercorn(app, quiet_config()), listener)
            else:
                await nursery.start(HypercornSite(Switch(app), quiet_config(), stop).run, [listener])
            for _ in range(_TIMES):
                async with await trio.open_tcp_stream(*listener.getsockname()) as client:
                    await client.send_all(_HEAD)
                    heard = b""
                    while b"begun" not in heard:
                        heard += await client.receive_some()
                    await client.send_all(b"no chunk\r\n")
                    await answering.ended.wait()
                    while await client.receive_some():
                        pass  # it is closed in the end
            stop.set()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


class _Streaming:
    """An application that goes on answering, over the moment at which its client is done with."""

    def __init__(self) -> None:
        self.ended = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.ended = trio.Event()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        for _ in range(_CHUNKS):
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
        self.ended.set()


async def _accept(hypercorn: Hypercorn, listener: socket.socket) -> None:
    with trio.socket.from_stdlib_socket(listener.dup()) as accepting:
        for _ in range(_TIMES):
            sock, _ = await accepting.accept()
            await hypercorn.serve(socket.socket(fileno=sock.detach()), b"")
