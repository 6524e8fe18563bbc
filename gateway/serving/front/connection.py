"""One connection: requests in, answers out, one after the other, until it is closed or handed over."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import trio

from gateway.profile.serving import Server
from gateway.serving.admission import ANYONE, Admission, Client, Refusal
from gateway.serving.direct.envelope import Envelope, Recognised, Reply
from gateway.serving.front.head import Head, Heads, Probe
from gateway.serving.front.replies import Date, refusal, refused, written

_FOREIGN = (b"PRI * HTTP/2", b"\x16\x03")
"""How connections begin that speak something else: HTTP/2 (RFC 9113, section 3.4) and TLS."""
_LINGER = 2.0
"""Seconds for which a client that got its last answer may go on sending, or take to close."""


class Phase(Enum):
    """What a connection waits for; each but ANSWERING has a deadline of its own."""

    IDLE = "idle"
    HEAD = "header"
    BODY = "body"
    ANSWERING = "answering"
    WRITING = "writing"


class Answering(Protocol):
    """What makes the answers."""

    def recognise(self, body: bytes, envelope: Envelope) -> Recognised | None:
        """The way to the answer; None where that is for hypercorn."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What requests are answered with: the same for all connections."""

    section: Server
    heads: Heads
    admission: Admission
    answers: Answering
    date: Date = field(default_factory=Date)


class Handles(Protocol):
    """Whoever knows what requests are answered with at the moment."""

    handling: Handling


class HandedOver(Exception):
    """Hypercorn has to go on with the connection, from `read` on."""

    def __init__(self, read: bytes) -> None:
        super().__init__("handed over")
        self.read = read


class Connection:
    """Serves one socket. The deadlines are watched by `phase` and `since`; `draining` makes an answer the last.

    A connection on which nothing was asked yet (`asked`) waits for its first request also when it drains: whoever has
    just connected is about to send it, and knows nothing of the end.
    """

    __slots__ = (
        *("_admission", "_admits", "_answers", "_buffer", "_date", "_handles", "_handling", "_heads", "_section"),
        *("asked", "draining", "peer", "phase", "since", "sock"),
    )

    def __init__(self, sock: socket.socket, peer: str, handles: Handles) -> None:
        self.sock = sock
        self.peer = peer
        self.phase = Phase.IDLE
        self.since = trio.current_time()
        self.draining = False
        self.asked = False
        self._handles = handles
        self._buffer = bytearray()
        self._take_over(handles.handling)

    def _take_over(self, handling: Handling) -> None:
        self._handling = handling
        self._section = handling.section
        self._heads = handling.heads
        self._admission = handling.admission
        self._admits = handling.admission.needed
        self._answers = handling.answers
        self._date = handling.date

    async def serve(self) -> None:
        """Answer until the client goes, or is to be told so. Raises HandedOver, and OSError when the client is gone."""
        answered = 0
        while not self.draining or not self.asked or self.has_more:
            head = await self._head()
            self.asked = True
            if head is None:
                return
            if head.fault is not None:
                await self._refuse(400, f"Bad request: {head.fault}\n")
                return
            if head.envelope is None or head.length > self._section.max_body_size:
                raise HandedOver(bytes(self._buffer))
            size = head.size + head.length
            if not await self._body(size):
                return
            answered += 1
            recognised = self._answers.recognise(bytes(memoryview(self._buffer)[head.size : size]), head.envelope)
            if recognised is None:
                raise HandedOver(bytes(self._buffer))
            client: Client | Refusal = ANYONE
            if self._admits:
                client = self._admission.admit(head.authorizations, self.peer, head.forwarded)
            if isinstance(client, Refusal):
                reply: Reply | Refusal | None = client
            else:
                reply = await self._reply(recognised, head.of_client(client, head.envelope))
            if reply is None:
                raise HandedOver(bytes(self._buffer))
            del self._buffer[:size]
            last = (
                head.last or answered >= self._section.connections.max_requests or (self.draining and not self.has_more)
            )
            if isinstance(reply, Refusal):
                await self._write(refused(reply, self._date(), last=last))
            else:
                await self._write(written(reply, self._date(), modern=head.envelope.modern, last=last))
            if last:
                await self._close_gently()
                return

    @property
    def has_more(self) -> bool:
        """Whether something of a request is there, read or not."""
        try:
            return bool(self._buffer or self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    async def _reply(self, recognised: Recognised, envelope: Envelope) -> Reply | None:
        reply = recognised(envelope)
        if isinstance(reply, Reply):
            return reply
        self._enter(Phase.ANSWERING)
        return await reply()

    async def _head(self) -> Head | None:
        """The next head, which stays in the buffer; None when there is none."""
        self._enter(Phase.HEAD if self._buffer else Phase.IDLE)
        probe: Probe | None = None
        searched = 0
        while True:
            buffer = self._buffer
            while buffer.startswith(b"\r\n"):  # some send one behind a body (RFC 9112, section 2.2)
                del buffer[:2]
                probe, searched = None, 0
            if buffer.startswith(_FOREIGN):
                raise HandedOver(bytes(buffer))
            end = buffer.find(b"\r\n\r\n", max(0, searched - 3))
            if self._handles.handling is not self._handling:
                self._take_over(self._handles.handling)
            if end >= 0 and end + 4 <= self._section.connections.max_header_size:
                return self._heads.read(bytes(memoryview(buffer)[: end + 4]))
            if len(buffer) > self._section.connections.max_header_size:
                await self._refuse(431, "The head of the request is too large (server.connections.max_header_size)\n")
                return None
            if len(buffer) > searched:
                probe = probe or Probe()
                fault = probe.fault(bytes(memoryview(buffer)[searched:]))
                if fault is not None and not any(each.startswith(buffer) for each in _FOREIGN):
                    await self._refuse(400, f"Bad request: {fault}\n")
                    return None
                searched = len(buffer)
                self._enter(Phase.HEAD, anew=False)
            if not await self._read():
                return None

    async def _body(self, size: int) -> bool:
        """Read until the buffer has `size` bytes; False when the client goes before."""
        if len(self._buffer) < size:
            self._enter(Phase.BODY)
            while len(self._buffer) < size:
                if not await self._read():
                    return False
        return True

    async def _read(self) -> bool:
        """Wait for more; False where no more comes."""
        while True:
            await trio.lowlevel.wait_readable(self.sock)
            try:
                data = self.sock.recv(self._section.connections.max_read_ahead)
            except BlockingIOError:
                continue
            self._buffer += data
            return bool(data)

    async def _write(self, data: bytes) -> None:
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return
        self._enter(Phase.WRITING)
        view = memoryview(data)[sent:]
        while view:
            await trio.lowlevel.wait_writable(self.sock)
            try:
                view = view[self.sock.send(view) :]
                self.since = trio.current_time()
            except BlockingIOError:
                continue

    async def _refuse(self, status: int, sentence: str) -> None:
        await self._write(refusal(status, sentence))
        await self._close_gently()

    async def _close_gently(self) -> None:
        """Say that nothing follows, and read on for a while: to what is not read, the system answers with a reset.

        That would cost the client the end of the answer (RFC 9112, section 9.6). Raises OSError when it is gone.
        """
        self.sock.shutdown(socket.SHUT_WR)
        with trio.move_on_after(_LINGER):
            while await self._read():
                self._buffer.clear()

    def _enter(self, phase: Phase, *, anew: bool = True) -> None:
        if anew or self.phase is not phase:
            self.phase, self.since = phase, trio.current_time()
