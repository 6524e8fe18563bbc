from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.profile.loader import load_profile
from gateway.serving.direct.message import parse
from gateway.serving.protocol import HANDSHAKE_VERSIONS
from gateway.serving.stdio.early import Early
from gateway.serving.stdio.greeting import Greeting, greet

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


def line(method: str, params: Any = None, id_: int | str = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n"


@pytest.fixture
def early(tmp_path: Path) -> Early:
    """Of a profile with one tool."""
    profile = tmp_path / "p.toml"
    profile.write_text(
        'extends = ["base.toml"]\n[strategies.s]\nttl = "1h"\n[upstreams.d]\ntype = "files"\nroot = "~/d"\n'
        '[tools.t]\ndescription = "d"\nstrategy = "s"\n[tools.t.fetch]\nupstream = "d"\npath = "x"\n'
    )
    return Early(load_profile(str(profile), environ={}).profile)


def greeted(early: Early, data: bytes) -> tuple[Greeting, bytes]:
    """The greeting of a client that has sent `data`, and what it was answered."""
    client, server = socket.socketpair()
    with client, server:
        client.sendall(data)
        greeting = greet(early, server.fileno(), server.fileno())
        client.setblocking(False)
        try:
            return greeting, client.recv(100_000)
        except BlockingIOError:
            return greeting, b""


def test_initialize_is_answered_where_it_is_there_already(early: Early) -> None:
    """What follows it is kept."""
    sent = line("initialize", INITIALIZE, "é") + b'{"half'
    greeting, said = greeted(early, sent)
    assert greeting == Greeting(sent, answered=True)
    answer = json.loads(said)
    assert answer["id"] == "é"
    assert answer["result"]["protocolVersion"] == "2025-06-18"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        line("initialize", INITIALIZE)[:-1],
        b"\n",
        b"nonsense\n",
        line("tools/list"),
        line("initialize", {**INITIALIZE, "protocolVersion": 1}),
        line("initialize", {**INITIALIZE, "capabilities": {"sampling": 1}}),
        line("initialize", {**INITIALIZE, "capabilities": {"experimental": {"listChanged": True}}}),
        line("initialize", {**INITIALIZE, "clientInfo": {"name": "t"}}),
        line("initialize", {**INITIALIZE, "more": 1}),
    ],
)
def test_whatever_is_unusual_is_left_to_others(early: Early, sent: bytes) -> None:
    """It was read, and nothing was said."""
    assert greeted(early, sent) == (Greeting(sent), b"")


def test_a_file_is_not_touched(early: Early, tmp_path: Path) -> None:
    """It could make the greeting wait."""
    (tmp_path / "in").write_bytes(line("initialize", INITIALIZE))
    with (tmp_path / "in").open("rb") as file:
        assert greet(early, file.fileno(), 1) == Greeting()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0


def test_a_client_that_is_newer_is_offered_the_newest(early: Early) -> None:
    """Of the revisions that begin with initialize (MCP 2025-11-25, "Version Negotiation")."""
    message = parse(line("initialize", {**INITIALIZE, "protocolVersion": "2030-01-01"}))
    assert message is not None
    assert early.version_of(message) == HANDSHAKE_VERSIONS[-1]


def test_what_is_too_long_is_not_answered(early: Early) -> None:
    """It is dropped later on, and the SDK would know nothing of a handshake that its client takes for done."""
    early.longest = 50
    sent = line("initialize", INITIALIZE)
    assert greeted(early, sent) == (Greeting(sent), b"")
