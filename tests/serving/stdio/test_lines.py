from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from gateway.errors import GatewayError
from gateway.serving.stdio.lines import Lines

LIMIT = 100


class Pipe:
    """A pipe's two ends."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()
        self.lines = Lines(self.read, LIMIT)

    def feed(self, data: bytes) -> None:
        assert os.write(self._write, data) == len(data)

    def end(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    async def all(self, data: bytes) -> list[bytes]:
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
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a\r", b"b\r"]),
        (b"\n\r\n \na\n\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n  ", [b"a"]),
        ("ключ\u2028x\u0085y\n".encode(), ["ключ\u2028x\u0085y".encode()]),
        (b"\xff\xfe\nb\n", [b"\xff\xfe", b"b"]),
        (b"\0\n", [b"\0"]),
    ],
    ids=["nothing", "lines", "CRLF", "empty", "no end", "blank end", "other separators", "no UTF-8", "NUL"],
)
async def test_lines(pipe: Pipe, data: bytes, lines: list[bytes]) -> None:
    """Only a line feed ends a line; empty ones are none."""
    assert await pipe.all(data) == lines


async def test_a_line_in_parts(pipe: Pipe) -> None:
    """A line may come in parts, cut within a character, and is there when it is whole."""
    async with aclosing(pipe.lines.__aiter__()) as lines:
        data = "a€b\nc".encode()
        for cut in range(len(data) - 2):
            pipe.feed(data[cut : cut + 1])
        pipe.feed(data[-2:])
        assert await anext(lines) == "a€b".encode()
        pipe.end()
        assert await anext(lines) == b"c"


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_line_over_the_limit(pipe: Pipe, parts: int) -> None:
    """A line over the limit is dropped, however it came, and the next one is served."""
    async with aclosing(pipe.lines.__aiter__()) as lines:
        pipe.feed(b"first\n")
        assert await anext(lines) == b"first"
        for _ in range(parts):
            pipe.feed(b"x" * LIMIT)
        pipe.feed(b"x\nnext\n" + b"y" * LIMIT + b"\n")
        assert await anext(lines) == b"next"
        assert await anext(lines) == b"y" * LIMIT


async def test_an_endless_line(pipe: Pipe) -> None:
    """A line over the limit that never ends is nothing."""
    assert await pipe.all(b"x" * (LIMIT + 1)) == []


async def test_what_was_read_before_comes_first(pipe: Pipe) -> None:
    """Lines that somebody has begun to read are whole."""
    lines = Lines(pipe.read, LIMIT, b"a\nb")
    pipe.feed(b"c\nd\n")
    pipe.end()
    assert [line async for line in lines] == [b"a", b"bc", b"d"]


async def test_they_end_while_nothing_comes(pipe: Pipe) -> None:
    """The lines end when they are told to, though the other end stays open."""
    got: list[bytes] = []
    first = trio.Event()

    async def collect() -> None:
        async for line in pipe.lines:
            got.append(line)
            first.set()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            pipe.feed(b"a\nhalf")
            await first.wait()
            pipe.lines.end()
    assert got[0] == b"a"


async def test_a_file_is_read_as_well(tmp_path: Path) -> None:
    """What the system can't wait for is read by a thread."""
    (tmp_path / "in").write_bytes(b"a\nb\n")
    with (tmp_path / "in").open("rb") as file:
        assert [line async for line in Lines(file.fileno(), LIMIT)] == [b"a", b"b"]


async def test_a_descriptor_that_can_not_be_read() -> None:
    """What can't be read is said in a sentence."""
    folder = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(GatewayError, match=r"^stdin can't be read: Is a directory$"):
            [line async for line in Lines(folder, LIMIT)]
    finally:
        os.close(folder)
