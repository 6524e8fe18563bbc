from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from gateway.assembly import Gateway
from gateway.serving.direct.answers import Answers
from gateway.serving.direct.asking import AskSdk
from gateway.serving.direct.envelope import Envelope, Reply
from gateway.serving.direct.introduction import LISTS
from gateway.serving.endpoint import Endpoint
from gateway.serving.protocol import CLIENT_CAPABILITIES, HANDSHAKE_VERSIONS, MODERN_VERSION, PROTOCOL_VERSION
from tests.fakes.mcp_rig import gateway_of

TOOLS = """
[server]
name = "ñ"
title = "A \\"title\\""
instructions = "Read\\nthis"
[upstreams.d]
type = "files"
root = "."
[tools.plain]
description = "é"
strategy = "s"
fetch = { upstream = "d", path = "x" }
[tools.rich]
title = "Rich"
description = "r"
strategy = "s"
annotations = { read_only = false, destructive = true }
fetch = { upstream = "d", path = "x" }
[tools.rich.input]
additionalProperties = true
required = ["b"]
"$schema" = "https://json-schema.org/draft/2020-12/schema"
"$defs" = { z = { type = "string" } }
[tools.rich.input.properties]
b = { type = "number", default = 1e300, minimum = 0 }
a = { "$ref" = "#/$defs/z" }
any = true
[tools.rich.output]
title = "T"
type = "object"
properties = { b = { type = "integer" } }
"""
OFFERS = """
[tools.read]
description = "r"
strategy = "s"
fetch = { upstream = "d", path = "{b}" }
[tools.read.input.properties]
b = { type = "string" }
[resources.one]
uri = "a://one"
title = "One"
description = "é"
tool = "plain"
[resources.bare]
uri = "a://bare"
tool = "plain"
[prompts.p]
title = "P"
description = "d"
messages = [{ text = "hi {{x}}" }]
[prompts.p.arguments.x]
required = true
title = "X"
description = "x"
[prompts.p.arguments.a]
[prompts.bare]
messages = [{ text = "hi" }]
"""
MANY = """
[resources.many]
uri = "a://{b}"
title = "Many"
mime_type = "text/x"
tool = "read"
complete.b = { values = ["1", "2"] }
"""
PROFILES = {
    "nothing": "",
    "tools": TOOLS,
    "everything": TOOLS + OFFERS + MANY,
    "prompts": TOOLS + '[prompts.bare]\nmessages = [{ text = "hi" }]\n',
}
META = {PROTOCOL_VERSION: MODERN_VERSION, CLIENT_CAPABILITIES: {}}
CLIENT = {"name": "c", "version": "1"}


class Asking:
    """Asks the SDK, and counts how often."""

    def __init__(self, ask: AskSdk) -> None:
        self.asked = 0
        self._ask = ask

    async def __call__(self, body: bytes, envelope: Envelope) -> tuple[int, bytes]:
        self.asked += 1
        return await self._ask(body, envelope)


@asynccontextmanager
async def served(folder: Path, text: str) -> AsyncIterator[tuple[Gateway, Asking]]:
    """A gateway, and its SDK."""
    async with gateway_of(folder, text) as gateway, trio.open_nursery() as nursery:
        endpoint = Endpoint(gateway, trio.Event())
        await nursery.start(endpoint.run)
        yield gateway, Asking(AskSdk(endpoint, "/mcp"))
        endpoint.end()


def questions() -> list[tuple[str, dict[str, Any], Envelope]]:
    """Everything that a server is asked about itself, as every client asks it."""
    able = {"roots": {"listChanged": True}, "elicitation": {"form": {}}}
    asked: list[tuple[str, dict[str, Any], Envelope]] = []
    for version in (*HANDSHAKE_VERSIONS, "1999-01-01"):
        params = {"protocolVersion": version, "capabilities": able, "clientInfo": CLIENT}
        asked.append(("initialize", params, Envelope(None, modern=False)))
    for said in (None, *HANDSHAKE_VERSIONS):
        asked += [(method, {}, Envelope(said, modern=False)) for method in ("ping", *LISTS)]
    for method in ("server/discover", *LISTS):
        asked.append((method, {"_meta": META}, Envelope(MODERN_VERSION, modern=True, method=method)))
    return asked


async def answered(answers: Answers, body: bytes, envelope: Envelope) -> tuple[int, bytes] | None:
    """The answer that is given without the SDK, or by asking it."""
    recognised = answers.recognise(body, envelope)
    reply = None if recognised is None else recognised(envelope)
    if reply is not None and not isinstance(reply, Reply):
        reply = await reply()
    return None if reply is None else (reply.status, b"".join(reply.pieces))


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_server_is_introduced_in_the_words_of_the_sdk(profile: str, tmp_path: Path) -> None:
    """Byte for byte, and without asking it; only what it does not offer is for the SDK to refuse."""
    async with served(tmp_path, PROFILES[profile]) as (gateway, ask):
        answers = Answers(gateway, ask)
        for method, params, envelope in questions():
            body = orjson.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
            before = ask.asked
            said = await answered(answers, body, envelope)
            offered = method not in LISTS or gateway.catalogue.offers(LISTS[method][0])
            assert ask.asked == before + (not offered)
            assert said == await ask(body, envelope), (method, envelope.version)


async def test_an_unusual_client_is_introduced_by_the_sdk_once(tmp_path: Path) -> None:
    """What it says of itself is remembered with the answer."""
    async with served(tmp_path, TOOLS) as (gateway, ask):
        answers, envelope = Answers(gateway, ask), Envelope(None, modern=False)
        params = {"protocolVersion": "2025-11-25", "capabilities": {"sampling": None}, "clientInfo": CLIENT}
        body = orjson.dumps({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params})
        first = await answered(answers, body, envelope)
        assert first == await answered(answers, body, envelope)
        assert ask.asked == 1
        assert first == await ask(body, envelope)
