"""The load tester's client for stdio, with a real process."""

from __future__ import annotations

import shlex
import sys

import pytest
import trio

from gateway.errors import GatewayError
from gateway.loading.model import Call, Reply
from gateway.loading.process import open_stdio
from tests.fakes import load_child


def child(calls: int) -> str:
    return shlex.join([sys.executable, "-I", "-S", "-E", load_child.__file__, str(calls)])


async def test_answers_find_who_asked() -> None:
    """Requests of many clients share a pipe: answers in another order, noise and the server's own requests included."""
    replies: list[Reply] = []
    with trio.fail_after(60):
        async with open_stdio(child(100), None, patience=30) as target, trio.open_nursery() as nursery:
            assert target.era == "handshake"

            async def ask(number: int) -> None:
                client = target.client()
                for _ in range(5):
                    replies.append(await client.ask(Call("t", {"n": number})))

            for number in range(2):
                nursery.start_soon(ask, number)
    assert [reply.error for reply in replies] == [None] * 10
    assert all(reply.size > 20 for reply in replies)


async def test_the_process_ends() -> None:
    """Who waits when it ends is told so, and so is who asks afterwards, with its last words."""
    with trio.fail_after(60):
        async with open_stdio(child(0), "handshake", patience=30) as target:
            client = target.client()
            first = await client.ask(Call("t", {"n": 1}))
            second = await client.ask(Call("t", {"n": 1}))
    assert first.error == second.error == "connection closed"
    assert second.detail == "out of calls"


async def test_it_never_answers() -> None:
    """A program that says nothing is given up, ended, and told in a sentence."""
    with trio.fail_after(60), pytest.raises(GatewayError, match=r"no answer within 0\.2 s"):
        async with open_stdio("sleep 1000", None, patience=0.2):
            pass
