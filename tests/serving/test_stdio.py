from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import aclosing

import pytest
import trio

from gateway.errors import GatewayError
from gateway.serving.stdio import Lines

LIMIT = 100


class Pipe:
    """A pipe's two ends."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()
        self.lines = Lines(self.read, LIMIT, trio.Event())

    def feed(self, data: bytes) -> None:
        assert os.write(self._write, data) == len(data)

    def end(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    async def all(self, data: bytes) -> list[str]:
        """The lines of `data`."""
        self.feed(data)
        self.end()
        return [line async for line in self.lines]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.end()
    os.close(pipe.read)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\r\n", ["a\r", "b\r"]),
        (b"\n\r\n \na\n\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\n  ", ["a"]),
        ("ключ\u2028x\u0085y\n".encode(), ["ключ\u2028x\u0085y"]),
        (b"\xff\xfe\nb\n", ["\ufffd\ufffd", "b"]),
        (b"\0\n", ["\0"]),
    ],
    ids=["nothing", "lines", "CRLF", "empty", "no end", "blank end", "other separators", "no UTF-8", "NUL"],
)
async def test_lines(pipe: Pipe, data: bytes, lines: list[str]) -> None:
    """Only a line feed ends a line; empty ones are none; what is no text becomes no message."""
    assert await pipe.all(data) == lines


async def test_a_line_in_parts(pipe: Pipe) -> None:
    """A line may come in parts, cut within a character, and is there when it is whole."""
    async with aclosing(pipe.lines.__aiter__()) as lines:
        data = "a€b\nc".encode()
        for cut in range(len(data) - 2):
            pipe.feed(data[cut : cut + 1])
        pipe.feed(data[-2:])
        assert await anext(lines) == "a€b"
        pipe.end()
        assert await anext(lines) == "c"


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_line_over_the_limit(pipe: Pipe, parts: int) -> None:
    """A line over the limit is dropped, however it came, and the next one is served."""
    async with aclosing(pipe.lines.__aiter__()) as lines:
        pipe.feed(b"first\n")
        assert await anext(lines) == "first"
        for _ in range(parts):
            pipe.feed(b"x" * LIMIT)
        pipe.feed(b"x\nnext\n" + b"y" * LIMIT + b"\n")
        assert await anext(lines) == "next"
        assert await anext(lines) == "y" * LIMIT


async def test_an_endless_line(pipe: Pipe) -> None:
    """A line over the limit that never ends is nothing."""
    assert await pipe.all(b"x" * (LIMIT + 1)) == []


async def test_stop_while_nothing_comes() -> None:
    """The lines end when they are told to, though the other end stays open."""
    read, write = os.pipe()
    stop = trio.Event()
    got: list[str] = []
    first = trio.Event()

    async def collect() -> None:
        async for line in Lines(read, LIMIT, stop):
            got.append(line)
            first.set()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            os.write(write, b"a\nhalf")
            await first.wait()
            stop.set()
    assert got[0] == "a"
    os.close(write)  # lets go of the thread that still reads


async def test_a_descriptor_that_can_not_be_read() -> None:
    """What can't be read is said in a sentence."""
    folder = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(ExceptionGroup) as caught:
            [line async for line in Lines(folder, LIMIT, trio.Event())]
    finally:
        os.close(folder)
    assert caught.group_contains(GatewayError, match="^stdin can't be read: Is a directory$")
