"""One connection: requests in, answers out, one after the other, until it is closed or handed over."""

from __future__ import annotations

import socket
from enum import Enum

import trio

from gateway.serving.admission import Refusal
from gateway.serving.direct.envelope import Reply, Waiting
from gateway.serving.front.handling import Handles, Handling
from gateway.serving.front.head import Head, Probe
from gateway.serving.front.poller import Poller
from gateway.serving.front.replies import refusal

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


class HandedOver(Exception):
    """Hypercorn has to go on with the connection, from `read` on."""

    def __init__(self, read: bytes) -> None:
        super().__init__("handed over")
        self.read = read


class Connection:
    """Serves one socket. The deadlines are watched by `phase` and `since`; `draining` makes an answer the last.

    While its task waits for a request, the poller's turn answers what can be answered at once, and wakes the task for
    anything else. Without a poller the task does it all.

    A connection on which nothing was asked yet (`asked`) waits for its first request also when it drains: whoever has
    just connected is about to send it, and knows nothing of the end.
    """

    __slots__ = (
        *("_answered", "_at_once", "_begun", "_buffer", "_failure", "_handles", "_handling", "_most", "_poller"),
        *("_section", "_unsent", "_waiting"),
        *("asked", "draining", "peer", "phase", "since", "sock"),
    )

    def __init__(self, sock: socket.socket, peer: str, handles: Handles, poller: Poller | None) -> None:
        self.sock = sock
        self.peer = peer
        self.phase = Phase.IDLE
        self.since = trio.current_time()
        self.draining = False
        self.asked = False
        self._handles = handles
        self._poller = poller
        self._answered = 0
        self._buffer = bytearray()
        self._waiting: trio.Event | None = None
        """What the task waits for."""
        self._at_once = False
        """Whether that is the beginning of a request: then the poller's turn may answer it."""
        self._begun: tuple[Head, Waiting] | None = None
        """What the poller's turn has begun and the task has to end, as it was begun; the request is in the buffer."""
        self._unsent: memoryview | None = None
        """What could not be sent of an answer in the poller's turn."""
        self._failure: Exception | None = None
        """What went wrong in the poller's turn."""
        self._take_over(handles.handling)

    def _take_over(self, handling: Handling) -> None:
        self._handling = handling
        self._section = handling.section
        self._most = handling.section.connections.max_read_ahead

    async def serve(self) -> None:
        """Answer until the client goes, or is to be told so. Raises HandedOver, and OSError when the client is gone."""
        try:
            if self._poller is not None:
                self._poller.watch(self.sock, self)
        except OSError:  # the system watches no more: this one waits by itself
            self._poller = None
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
            reply = await self._reply(head, size)
            if reply is None:
                raise HandedOver(bytes(self._buffer))
            del self._buffer[:size]
            last = head.last or self._is_used_up(self._answered) or (self.draining and not self.has_more)
            await self._write(self._handling.written(head, reply, last=last))
            if last:
                await self._close_gently()
                return

    def tell(self, ended: bool) -> bytes:
        """Something arrived, the end of it where it has `ended`: the answer for `send`, or the task is woken."""
        if self._waiting is None:
            return b""  # it reads what there is when it comes to it
        answer = None
        try:
            if self._at_once and not self.draining:
                answer = self._answer_at_once()
        except BlockingIOError:
            answer = b""
        except Exception as error:
            self._failure = error
        if answer is None or ended:
            self._wake()
        return answer or b""

    def send(self, answer: bytes) -> None:
        """Send the answer that `tell` has made; the task is woken for what can't be sent, and for what goes wrong."""
        try:
            sent = self._send(answer)
        except OSError as error:
            self._failure = error
            self._wake()
            return
        if sent < len(answer):
            self._enter(Phase.WRITING)
            self._unsent = memoryview(answer)[sent:]
            self._wake()
        else:
            self._enter(Phase.IDLE)

    def close(self) -> None:
        """Close the socket, which the task meets as an OSError. Does nothing the second time."""
        if self.sock.fileno() >= 0:
            self.leave()
            trio.lowlevel.notify_closing(self.sock)
            self.sock.close()
            self._wake()

    def leave(self) -> None:
        """Be told nothing any more."""
        if self._poller is not None:
            self._poller.leave(self.sock)

    @property
    def has_more(self) -> bool:
        """Whether something of a request is there, read or not."""
        try:
            return bool(self._buffer or self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _is_used_up(self, answered: int) -> bool:
        return answered >= self._section.connections.max_requests

    async def _reply(self, head: Head, size: int) -> Reply | Refusal | None:
        """The answer to the request at the beginning of the buffer; None where another has to make it."""
        begun, self._begun = self._begun, None
        reply = begun[1] if begun is not None else self._begin(head, bytes(memoryview(self._buffer)[head.size : size]))
        if reply is None or isinstance(reply, Reply | Refusal):
            return reply
        self._enter(Phase.ANSWERING)
        return await reply()

    def _begin(self, head: Head, body: bytes) -> Reply | Refusal | Waiting | None:
        begun = self._handling.begin(head, body, self.peer)
        if begun is not None:
            self._answered += 1
        return begun

    def _answer_at_once(self) -> bytes | None:
        """Read: the answer, empty where the request is not whole yet; None where the task has to go on.

        What is left is in the buffer.
        """
        data = self.sock.recv(self._most)
        buffer = self._buffer
        buffer += data
        if not data or len(data) >= self._most or self._handles.handling is not self._handling:
            return None
        whole = bytes(buffer) if len(buffer) > len(data) else data
        head = self._handling.heads.known(whole[: whole.find(b"\r\n\r\n") + 4])
        if (
            head is None
            or head.last
            or head.length > self._section.max_body_size
            or self._is_used_up(self._answered + 1)
        ):
            return None
        missing = head.size + head.length - len(whole)
        if missing:
            if missing < 0 or head.length > self._most:
                return None
            self._enter(Phase.BODY, anew=False)
            return b""
        begun = self._begin(head, whole[head.size :])
        if begun is None:
            return None
        if not isinstance(begun, Reply | Refusal):
            self._begun = head, begun
            return None
        buffer.clear()
        self.asked = True
        return self._handling.written(head, begun, last=False)

    async def _head(self) -> Head | None:
        """The next head, which stays in the buffer; None when there is none."""
        self._enter(Phase.HEAD if self._buffer else Phase.IDLE)
        probe: Probe | None = None
        searched = 0
        while True:
            if self._begun is not None:
                return self._begun[0]
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
                return self._handling.heads.read(bytes(memoryview(buffer)[: end + 4]))
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
            if not await self._read(at_once=not buffer):
                return None

    async def _body(self, size: int) -> bool:
        """Read until the buffer has `size` bytes; False when the client goes before."""
        if len(self._buffer) < size:
            self._enter(Phase.BODY, anew=False)
            while len(self._buffer) < size:
                if not await self._read():
                    return False
        return True

    async def _read(self, *, at_once: bool = False) -> bool:
        """Wait for more in the buffer; False where no more comes. `at_once`: whole requests are answered meanwhile."""
        while True:
            try:
                data = self.sock.recv(self._most)
            except BlockingIOError:
                await self._wait(at_once=at_once)
            else:
                self._buffer += data
                await trio.lowlevel.checkpoint()  # a client that never pauses keeps nobody else waiting
                return bool(data)
            if self._failure is not None:
                raise self._failure
            if self._unsent is not None:
                unsent, self._unsent = self._unsent, None
                await self._write_on(unsent)
                if self.draining and not self.has_more:
                    return False
                self._enter(Phase.IDLE)
            if at_once and self._buffer:
                return True

    async def _wait(self, *, at_once: bool) -> None:
        if self._poller is None:
            await trio.lowlevel.wait_readable(self.sock)
            return
        self._waiting, self._at_once = trio.Event(), at_once
        try:
            await self._waiting.wait()
        finally:
            self._waiting = None

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None  # before the task runs there may be another turn
        if waiting is not None:
            waiting.set()

    async def _write(self, data: bytes) -> None:
        sent = self._send(data)
        if sent < len(data):
            await self._write_on(memoryview(data)[sent:])

    def _send(self, data: bytes) -> int:
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    async def _write_on(self, view: memoryview) -> None:
        self._enter(Phase.WRITING)
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
