"""`gateway stdio` as a process: what is on its stdout, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.fakes import varlet
from tests.fakes.registry import Registry
from tests.system.processes import Gateway, run

HELLO: list[dict[str, Any] | bytes] = [
    {
        "jsonrpc": "2.0",
        "id": "hello",
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


def request(identity: object, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


def props(identity: object) -> dict[str, Any]:
    return request(identity, "tools/call", name="get_component_props", arguments={"name": "button"})


def written(messages: Sequence[dict[str, Any] | bytes]) -> bytes:
    return b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in messages)


@pytest.mark.parametrize("level", ["debug", "error"])
async def test_stdout_holds_protocol_only(tmp_path: Path, registry: Registry, level: str) -> None:
    """Every line on stdout is an answer, at any log level and whatever is asked."""
    messages = [
        *HELLO,
        b"garbage\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"\n\r\n",
        b"x" * 5_000_000 + b"\n",
        request(1, "tools/list"),
        request(2, "nope"),
        request(3, "tools/call", name="nope"),
        request(4, "tools/call", name="get_component_props", arguments={"name": "\x1b[31m\n"}),
        request(5, "tools/call", name="get_component_props", arguments=None),
        props(6),
        request(7, "ping"),
    ]
    ended = await run(
        tmp_path,
        "stdio",
        "--set",
        f'logging.level="{level}"',
        stdin=written(messages),
        registry=registry.url,
    )
    assert ended.code == 0
    answers = {each["id"]: each for each in map(json.loads, ended.out.splitlines())}
    assert set(answers) == {"hello", 1, 2, 3, 4, 5, 6, 7}
    assert answers[6]["result"]["structuredContent"]["name"] == "var-button"
    assert answers[3]["error"]["code"] == -32602
    assert answers[4]["result"]["isError"]


async def test_questions_through_a_pipe_are_answered(tmp_path: Path, registry: Registry) -> None:
    """Who writes questions and closes the pipe gets the answers, also those that take a while."""
    asked, go_on = trio.Event(), trio.Event()
    varlet.hold(registry, asked, go_on)
    async with trio.open_nursery() as nursery:

        async def release() -> None:
            await asked.wait()
            go_on.set()

        nursery.start_soon(release)
        ended = await run(tmp_path, "stdio", stdin=written([*HELLO, props(1), props(2)]), registry=registry.url)
    assert ended.code == 0
    answers = {answer["id"]: answer for answer in map(json.loads, ended.out.splitlines())}
    assert answers.keys() == {"hello", 1, 2}  # in whatever order
    assert "isError" not in answers[1]["result"]


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
async def test_a_signal_while_stdin_stays_open(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """A signal ends it with exit code 0, though the client keeps the pipe open."""
    with Gateway(tmp_path, "stdio", pipes=True) as gateway:
        gateway.stdin.write(written(HELLO))
        gateway.stdin.flush()
        assert await trio.to_thread.run_sync(gateway.stdout.readline)
        assert await trio.to_thread.run_sync(partial(gateway.stop, *signals)) == 0


async def test_a_signal_with_a_request_under_way(tmp_path: Path, registry: Registry) -> None:
    """A request that was read is answered before the end."""
    asked, go_on = trio.Event(), trio.Event()
    varlet.hold(registry, asked, go_on)
    with Gateway(tmp_path, "stdio", pipes=True, registry=registry.url) as gateway:
        gateway.stdin.write(written([*HELLO, props(1)]))
        gateway.stdin.flush()
        await asked.wait()
        gateway.process.send_signal(signal.SIGTERM)
        await trio.to_thread.run_sync(gateway.wait_for, "stopping")
        go_on.set()
        assert await trio.to_thread.run_sync(gateway.wait) == 0
        answers = [json.loads(line) for line in gateway.stdout]
    assert [each["id"] for each in answers] == ["hello", 1]
    assert "isError" not in answers[1]["result"]


async def test_a_request_that_takes_too_long(tmp_path: Path, registry: Registry) -> None:
    """What is not answered within `server.drain_timeout` is cut off, and the exit code is 0."""
    asked = trio.Event()
    varlet.hold(registry, asked, trio.Event())
    patience = ("--set", 'server.drain_timeout="200ms"')
    with Gateway(tmp_path, "stdio", *patience, pipes=True, registry=registry.url) as gateway:
        gateway.stdin.write(written([*HELLO, props(1)]))
        gateway.stdin.flush()
        await asked.wait()
        assert await trio.to_thread.run_sync(gateway.stop) == 0
        assert "requests under way were cut off" in gateway.stderr


async def test_a_cancelled_request_holds_nothing_up(tmp_path: Path, registry: Registry) -> None:
    """A request that the client cancelled is not waited for at the end."""
    asked = trio.Event()
    varlet.hold(registry, asked, trio.Event())
    patience = ("--set", 'server.drain_timeout="1h"')
    with Gateway(tmp_path, "stdio", *patience, pipes=True, registry=registry.url) as gateway:
        gateway.stdin.write(written([*HELLO, props(1)]))
        gateway.stdin.flush()
        await asked.wait()
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        gateway.stdin.write(written([cancelled]))
        gateway.stdin.close()
        assert await trio.to_thread.run_sync(gateway.wait) == 0


async def test_a_client_that_is_gone(tmp_path: Path) -> None:
    """When nobody reads any more, one sentence says so."""
    with Gateway(tmp_path, "stdio", pipes=True) as gateway:
        gateway.stdout.close()
        gateway.stdin.write(written(HELLO))
        gateway.stdin.flush()
        assert await trio.to_thread.run_sync(gateway.wait) == 1
        assert gateway.stderr == "gateway: stdout can't be written: Broken pipe\n"
