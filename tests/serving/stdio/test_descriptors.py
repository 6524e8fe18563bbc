from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from gateway.errors import GatewayError
from gateway.serving.stdio.descriptors import Output

LARGE = os.urandom(1_000_000)


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Two descriptors: what is written to the second comes out of the first."""
    if request.param == "pipe":
        read, write = os.pipe()
        yield read, write
        os.close(read)
        os.close(write)
        return
    one, other = socket.socketpair()
    with one, other:
        yield one.fileno(), other.fileno()


async def read_all(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        await trio.lowlevel.wait_readable(descriptor)
        data += os.read(descriptor, 10_000)
    return data


async def test_what_there_is_room_for_is_written_at_once(ends: tuple[int, int]) -> None:
    """No task has to be waited for."""
    output = Output(ends[1])
    await output.write(b"a\n")
    await output.write(b"b\n")
    assert os.read(ends[0], 10) == b"a\nb\n"
    output.close()


async def test_a_reader_that_is_slow_is_waited_for(ends: tuple[int, int]) -> None:
    """Messages larger than what the system holds come whole, one after the other, and others go on meanwhile."""
    output = Output(ends[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.write, LARGE)
        nursery.start_soon(output.write, LARGE[::-1])
        await trio.testing.wait_all_tasks_blocked()
        got = await read_all(ends[0], 2 * len(LARGE))
    assert got in (LARGE + LARGE[::-1], LARGE[::-1] + LARGE)
    output.close()


async def test_the_flags_of_a_descriptor_are_left_alone(ends: tuple[int, int]) -> None:
    """Others may share it, and would not expect that it does not block any more."""
    before = fcntl.fcntl(ends[1], fcntl.F_GETFL)
    output = Output(ends[1])
    await output.write(b"a")
    output.close()
    assert fcntl.fcntl(ends[1], fcntl.F_GETFL) == before


async def test_a_file_is_written_as_well(tmp_path: Path) -> None:
    """By a thread."""
    with (tmp_path / "out").open("wb") as file:
        await Output(file.fileno()).write(LARGE)
    assert (tmp_path / "out").read_bytes() == LARGE


async def test_a_reader_that_is_gone() -> None:
    """It is said in a sentence."""
    read, write = os.pipe()
    output = Output(write)
    os.close(read)
    with pytest.raises(GatewayError, match=r"^stdout can't be written: Broken pipe$"):
        await output.write(b"a")
    os.close(write)
