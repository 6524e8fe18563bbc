"""What a client over stdio is told before the gateway is open is what the SDK says, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import Gateway

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
OFFERS = """
extends = ["base.toml"]
[server]
title = "Everything: é"
instructions = "Ask."
[strategies.kept]
ttl = "1h"
[upstreams.docs]
type = "files"
root = "{root}"
[tools.doc]
description = "A document"
strategy = "kept"
[tools.doc.input]
required = ["name"]
[tools.doc.input.properties]
name = {{ type = "string" }}
[tools.doc.fetch]
upstream = "docs"
path = "{{name}}"
{more}
"""
RESOURCE = """
[resources.doc]
uri = "doc://one"
tool = "doc"
arguments = { name = "x" }
"""
PROMPT = """
[prompts.p]
description = "A prompt"
messages = [{ text = "Hello {who}" }]
[prompts.p.arguments.who]
description = "whom"
"""


def line(method: str, params: Any = None, id_: int | str = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n"


ASKED = [
    line("initialize", INITIALIZE, 0),
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n',
    line("tools/list", {}, "é"),
    line("ping", {"_meta": {"progressToken": 1}}, 2),
    line("prompts/list", {}, 3),
]


def answers(folder: Path, *options: str) -> dict[str, bytes]:
    """The answers to all that is asked in one go, by id."""
    with Gateway(folder, "stdio", *options, pipes=True) as gateway:
        gateway.stdin.write(b"".join(ASKED))
        gateway.stdin.flush()
        said = [gateway.stdout.readline() for _ in range(4)]
        gateway.stdin.close()
        assert gateway.wait() == 0
    return {str(json.loads(answer)["id"]): answer for answer in said}


@pytest.mark.parametrize("more", ["", RESOURCE, PROMPT, RESOURCE + PROMPT])
def test_any_profile(tmp_path: Path, more: str) -> None:
    """Whatever a profile offers."""
    (tmp_path / "p.toml").write_text(OFFERS.format(more=more, root=tmp_path))
    options = ["--profile", str(tmp_path / "p.toml")]
    early = answers(tmp_path, *options)
    assert early == answers(tmp_path, *options, "--set", "server.front=false")


def test_the_shipped_catalogue(tmp_path: Path) -> None:
    """Its two dozen tools."""
    options = ["--set", "warm.on_start=false"]
    early = answers(tmp_path, *options)
    assert len(early["é"]) > 10_000
    assert early == answers(tmp_path, *options, "--set", "server.front=false")


def test_initialize_does_not_wait_for_the_gateway(tmp_path: Path) -> None:
    """It is answered also where the gateway can't be opened in the end, which is said then."""
    (tmp_path / "p.toml").write_text(OFFERS.format(more="", root=tmp_path / "nowhere"))
    with Gateway(tmp_path, "stdio", "--profile", str(tmp_path / "p.toml"), pipes=True) as gateway:
        gateway.stdin.write(ASKED[0])
        gateway.stdin.flush()
        assert json.loads(gateway.stdout.readline())["result"]["instructions"] == "Ask."
