"""A crowd of callers before an upstream that is slow: the profile's limits hold, and who is turned away is told so."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import orjson
import pytest
import trio

from gateway.assembly import open_gateway
from gateway.profile.loader import load_profile
from tests.fakes.http_server import HttpServer, Request, answer

CALLERS = 200

PROFILE = """
[cache.disk]
enabled = false
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "{url}"
timeout = "60s"
max_concurrent = 12
max_queue = 70
[upstreams.api.pool]
max_connections = {connections}
max_keepalive = 4
[tools.get]
description = "A document."
strategy = "s"
fetch = {{ upstream = "api", path = "{{number}}" }}
[tools.get.input]
required = ["number"]
[tools.get.input.properties]
number = {{ type = "integer" }}
"""


class Slow:
    """Answers nobody until it may, and counts who waits for it."""

    def __init__(self) -> None:
        self.now = self.most = self.answered = 0
        self.go_on = trio.Event()

    async def __call__(self, request: Request, stream: trio.SocketStream) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go_on.wait()
        self.now -= 1
        self.answered += 1
        await stream.send_all(answer(json.dumps({"is": request.target}).encode()))


@pytest.mark.parametrize(("connections", "limit", "key"), [(12, 12, "max_concurrent"), (5, 5, "pool.max_connections")])
async def test_200_callers(connections: int, limit: int, key: str, tmp_path: Path, nursery: trio.Nursery) -> None:
    """So many are under way and so many wait as the profile says; the others hear at once which limit it was."""
    server, slow = HttpServer(), Slow()
    await nursery.start(server.serve)
    for number in range(CALLERS):
        server.on(f"/{number}", slow)
    (tmp_path / "p.toml").write_text(PROFILE.format(url=server.url, connections=connections))
    profile = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path]).profile
    refused: Counter[str] = Counter()
    answers: dict[int, object] = {}
    all_but_those_let_in = trio.Event()
    let_in = limit + 70

    with trio.fail_after(60):
        async with open_gateway(profile, {}) as gateway:

            async def caller(number: int) -> None:
                result = await gateway.catalogue.call("get", {"number": number})
                if result.is_error:
                    refused[result.message or ""] += 1
                    if refused.total() == CALLERS - let_in:
                        all_but_those_let_in.set()
                else:
                    answers[number] = orjson.loads(result.payload)["structuredContent"]

            async with trio.open_nursery() as callers:
                for number in range(CALLERS):
                    callers.start_soon(caller, number)
                await all_but_those_let_in.wait()  # while nobody has had an answer yet
                while slow.now < limit:
                    await trio.lowlevel.checkpoint()
                assert (len(answers), slow.answered) == (0, 0)
                slow.go_on.set()
            # There is room again, and nothing is remembered against those who were turned away.
            for number in set(range(CALLERS)) - set(answers):
                await caller(number)

    sentence = (
        f"api: not asked, it is busy: {limit} requests are under way (upstreams.api.{key}) "
        "and 70 wait already (upstreams.api.max_queue)"
    )
    assert refused == {sentence: CALLERS - let_in}
    assert slow.most == limit
    assert answers == {number: {"is": f"/{number}"} for number in range(CALLERS)}
    assert server.connections <= 12 + CALLERS - let_in
    assert len(server.requests) == CALLERS
