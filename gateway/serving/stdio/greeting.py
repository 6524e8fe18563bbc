"""The first answer, given before anything else is imported: an agent waits for it."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.serving.direct.message import parse
from gateway.serving.stdio.early import Early

_CHUNK = 65536
_ATOMIC = select.PIPE_BUF
"""Bytes that an empty pipe takes without making the writer wait (pipe(7))."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What was read from the client, and whether the first message of it was answered."""

    read: bytes = b""
    answered: bool = False


def greet(early: Early, stdin: int, stdout: int) -> Greeting:
    """Answer initialize, if it is there already; never waits, and leaves what is unusual to others."""
    if not _is_stream(stdin) or not _is_stream(stdout):
        return Greeting()
    try:
        if not select.select([stdin], [], [], 0)[0]:
            return Greeting()
        read = os.read(stdin, _CHUNK)
    except OSError:  # it is said by who reads next
        return Greeting()
    line, end, _ = read.partition(b"\n")
    message = parse(line) if end and len(line) <= early.longest else None
    version = None if message is None else early.version_of(message)
    if message is None or version is None:
        return Greeting(read)
    reply = early.initialized(message, version) + b"\n"
    if len(reply) > _ATOMIC:
        return Greeting(read)
    try:
        os.write(stdout, reply)
    except OSError:
        return Greeting(read)
    return Greeting(read, answered=True)


@contextmanager
def protocol_stdout() -> Iterator[int]:
    """A descriptor of the real stdout, while descriptor 1 leads to stderr: a stray print can't break the protocol."""
    private = os.dup(1)
    os.dup2(2, 1)
    try:
        yield private
    finally:
        os.dup2(private, 1)
        os.close(private)


def _is_stream(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
