"""Who may ask a running gateway, and how often: two clients, a stranger, and a limit that is reached and passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from tests.system.processes import Gateway, run
from tests.system.watched import HEAD, Items

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}
TOKENS = {"alice": "alice-alice-alice-1", "bob": "bob-bob-bob-bob-2"}
PROFILE = """
extends = ["head.toml"]
server.authentication = "bearer"
[clients.alice]
token = "${credential:alice}"
[clients.bob]
token = "${credential:bob}"
rate_limit = { max = 2, window = "4s" }
[strategies.mine]
ttl = "1h"
scope = "private"
[tools.mine]
description = "An item of one's own."
strategy = "mine"
fetch = { upstream = "items", path = "items/7" }
[[load.calls]]
tool = "mine"
"""


class Asking:
    """A gateway that runs, asked with a token, another credential or none."""

    def __init__(self, url: str, admin: str, http: httpx2.AsyncClient) -> None:
        self.url = url
        self.admin = admin
        self.http = http
        self.stderr = ""

    async def ask(
        self, method: str, params: dict[str, Any] | None = None, *, credential: str | None = None, query: str = ""
    ) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": META}}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN}
        headers |= {"Mcp-Method": method} | ({"Mcp-Name": params["name"]} if params and "name" in params else {})
        headers |= {"Authorization": credential} if credential is not None else {}
        return await self.http.post(self.url + query, json=body, headers=headers)

    async def outcome(self, token: str) -> str:
        """Where the answer of a call came from."""
        answered = await self.ask("tools/call", {"name": "mine"}, credential=f"Bearer {token}")
        return str(answered.json()["result"]["_meta"]["gateway/cache"]["status"])


@asynccontextmanager
async def serving(folder: Path, items: Items) -> AsyncIterator[Asking]:
    (folder / "head.toml").write_text(HEAD.format(folder=folder, url=items.url))
    (folder / "p.toml").write_text(PROFILE)
    process = await trio.to_thread.run_sync(partial(Gateway.serving, folder, "--profile", "./p.toml"))
    with process:
        async with httpx2.AsyncClient(trust_env=False) as http:
            asking = Asking(process.url, process.admin, http)
            yield asking
        assert await trio.to_thread.run_sync(process.stop) == 0
        asking.stderr = process.stderr


@pytest.fixture
async def items(nursery: trio.Nursery, tmp_path: Path) -> Items:
    """The upstream; the clients' tokens are there, too."""
    (tmp_path / "credentials").mkdir()
    for name, token in TOKENS.items():
        (tmp_path / "credentials" / name).write_text(token + "\n")
    items = Items()
    await nursery.start(items.serve)
    return items


ALICE, BOB = (f"Bearer {token}" for token in TOKENS.values())


async def test_who_may_ask(tmp_path: Path, items: Items) -> None:
    """Known clients are answered, strangers are not, whatever they ask; that is counted, and no token is told."""
    async with serving(tmp_path, items) as gateway:
        for method in ("tools/list", "server/discover", "subscriptions/listen", "nope/nope"):
            unknown = await gateway.ask(method)
            assert (unknown.status_code, unknown.headers["www-authenticate"]) == (401, 'Bearer realm="watched"')
            assert unknown.text.startswith("Only known clients are answered: send Authorization: Bearer TOKEN")
        assert (await gateway.ask("tools/list", query=f"?access_token={TOKENS['alice']}")).status_code == 401
        wrong = await gateway.ask("tools/list", credential="Bearer wrong-wrong-wrong-wrong")
        assert (wrong.status_code, wrong.text) == (401, "No client has this token (clients)\n")
        assert wrong.headers["www-authenticate"] == 'Bearer realm="watched", error="invalid_token"'
        elsewhere = await gateway.http.get(gateway.url + "/elsewhere")
        assert elsewhere.status_code == 401
        for credential in (ALICE, BOB, ALICE.replace("Bearer", "bEARER")):
            assert len((await gateway.ask("tools/list", credential=credential)).json()["result"]["tools"]) == 2
        metrics = (await gateway.http.get(gateway.admin + "/metrics")).text
        assert 'gateway_refusals_total{client="",reason="no_token"} 6.0' in metrics
        assert 'gateway_refusals_total{client="",reason="unknown_token"} 1.0' in metrics
        profile = (await gateway.http.get(gateway.admin + "/api/profile")).text
        assert "${credential:alice}" in profile
    assert '"event":"request refused"' in gateway.stderr
    for token in (*TOKENS.values(), "wrong-wrong"):
        assert token not in gateway.stderr + metrics + profile


async def test_a_limit(tmp_path: Path, items: Items) -> None:
    """A client that asks too often is refused until the time it is told, while another is answered."""
    async with serving(tmp_path, items) as gateway:
        answered = [await gateway.ask("tools/list", credential=BOB)]
        with trio.fail_after(60):
            while answered[-1].status_code == 200:
                answered.append(await gateway.ask("tools/list", credential=BOB))
        refused = answered[-1]
        wait = int(refused.headers["retry-after"])
        sentence = f"Too many requests: at most 2 in 4s, the next one in {wait}s (clients.bob.rate_limit)\n"
        assert (refused.status_code, refused.text) == (429, sentence)
        assert len(answered) > 2
        assert (await gateway.ask("tools/list", credential=ALICE)).status_code == 200
        await trio.sleep(wait)
        assert (await gateway.ask("tools/list", credential=BOB)).status_code == 200
        metrics = (await gateway.http.get(gateway.admin + "/metrics")).text
        assert 'gateway_refusals_total{client="bob",reason="rate_limit"} 1.0' in metrics


async def test_private_answers(tmp_path: Path, items: Items) -> None:
    """They are the client's, not the token's: another client has its own, and a new token keeps the old ones."""
    async with serving(tmp_path, items) as gateway:
        assert await gateway.outcome(TOKENS["alice"]) == "miss"
        assert await gateway.outcome(TOKENS["alice"]) == "hit"
        assert await gateway.outcome(TOKENS["bob"]) == "miss"
        assert len(items.requests) == 2
    (tmp_path / "credentials" / "alice").write_text("alice-has-another-one")
    async with serving(tmp_path, items) as gateway:
        assert (await gateway.ask("tools/list", credential=ALICE)).status_code == 401
        assert await gateway.outcome("alice-has-another-one") == "hit"
        assert len(items.requests) == 2


async def test_a_load_test_with_a_token(tmp_path: Path, items: Items) -> None:
    """`gateway load` takes the token as a header, and passes with it alone."""
    async with serving(tmp_path, items) as gateway:
        arguments = ("load", "--profile", "./p.toml", "--url", gateway.url, "-n", "20", "-c", "2")
        with_token = await run(tmp_path, *arguments, "--header", f"Authorization={ALICE}")
        without = await run(tmp_path, *arguments)
        soak = await run(tmp_path, "soak", "--profile", "./p.toml", "--url", gateway.admin, "--mcp", gateway.url)
    assert with_token.code == 0, with_token.err
    assert without.code == 1
    assert soak.code == 1
    assert soak.err == f"gateway: {gateway.url} wants to know who asks: --header 'Authorization=Bearer TOKEN'\n"
