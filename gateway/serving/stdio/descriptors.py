"""Bytes from and to file descriptors, without a thread where the system can wait for them."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
from contextlib import suppress

import trio

from gateway.errors import GatewayError

_CHUNK = 65536
_PAGE = select.PIPE_BUF
"""Bytes that fit into a pipe that can be written to (pipe(7))."""


class Input:
    """Reads from a descriptor: a pipe, a socket or a terminal when there is something; a file by a thread.

    A thread that waits for input when the reading is cancelled is left behind, and keeps no lock that the
    interpreter's exit would wait for. The descriptor's flags are left alone: others may share it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waits = _can_be_waited_for(descriptor)

    async def read(self) -> bytes:
        """What comes next; empty at the end. Raises GatewayError when it can't be read."""
        while self._waits:
            await trio.lowlevel.wait_readable(self._descriptor)
            try:
                return self._read()
            except BlockingIOError:  # somebody else was faster
                continue
        return await trio.to_thread.run_sync(self._read, abandon_on_cancel=True)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            raise
        except OSError as error:
            raise GatewayError(f"stdin can't be read: {error.strerror}") from error


class Output:
    """Writes whole messages to a descriptor, one at a time.

    What a pipe or a socket has room for is written at once, so that `write` may return without having waited.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = trio.Lock()
        mode = os.fstat(descriptor).st_mode
        self._socket = socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(mode) else None
        self._is_pipe = stat.S_ISFIFO(mode)

    def close(self) -> None:
        """Give back what was opened for it; the descriptor stays open."""
        if self._socket is not None:
            self._socket.close()

    async def write(self, data: bytes) -> None:
        """Write all of `data`. Raises GatewayError when it can't be written."""
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()
        try:
            await self._write(data)
        except OSError as error:
            raise GatewayError(f"stdout can't be written: {error.strerror}") from error
        finally:
            self._lock.release()

    async def _write(self, data: bytes) -> None:
        if self._socket is None and not self._is_pipe:
            await trio.to_thread.run_sync(self._write_all, data, abandon_on_cancel=True)
            return
        view = memoryview(data)
        room = self._room()
        while view:
            if not room:
                await trio.lowlevel.wait_writable(self._descriptor)
                room = _PAGE
            with suppress(BlockingIOError):
                view = view[self._write_some(view[:room]) :]
            room = 0

    def _room(self) -> int:
        """Bytes that can be written without waiting, as far as that is known."""
        if self._socket is not None:
            return _CHUNK
        (unread,) = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0" * 4))
        return 0 if unread else fcntl.fcntl(self._descriptor, fcntl.F_GETPIPE_SZ)

    def _write_some(self, view: memoryview) -> int:
        if self._socket is not None:
            return self._socket.send(view, socket.MSG_DONTWAIT)
        return os.write(self._descriptor, view)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def _can_be_waited_for(descriptor: int) -> bool:
    """Whether the system says when there is something to read: not for files, nor for /dev/null."""
    with select.epoll() as epoll:
        try:
            epoll.register(descriptor, select.EPOLLIN)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise GatewayError(f"stdin can't be read: {error.strerror}") from error
            return False
    return True
