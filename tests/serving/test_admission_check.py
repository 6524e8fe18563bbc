from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from gateway.serving.admission import CLIENT, Client
from gateway.serving.admission_check import AdmissionCheck
from tests.serving.gate import ALICE, NO_TOKEN, Gate, bearer

Messages = list[dict[str, Any]]
REQUEST = {"type": "http", "http_version": "1.1", "headers": [(b"accept", b"*/*")], "client": ("192.0.2.1", 1)}


async def asked(scope: dict[str, Any], *body: bytes, ends: bool = True) -> tuple[Messages, Messages]:
    """The scopes that came through the check, and what it sent."""
    through: Messages = []
    sent: Messages = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        through.append(scope)

    async def send(message: Any) -> None:
        sent.append(message)

    chunks = list(body)

    async def receive() -> Any:
        if not chunks and not ends:
            await trio.sleep_forever()
        return {"type": "http.request", "body": chunks.pop(0) if chunks else b"", "more_body": bool(chunks) or not ends}

    check = AdmissionCheck(cast("Any", app), Gate(limit=(1, 60.0)).admission)
    await check(cast("Any", scope), receive, cast("Any", send))
    return through, sent


@pytest.mark.parametrize("client", [("192.0.2.1", 1234), None])
async def test_admitted_over_asgi(client: tuple[str, int] | None) -> None:
    """The application learns who asks, and nothing is sent in its place."""
    scope = {**REQUEST, "headers": [(b"authorization", bearer(ALICE))], "client": client}
    through, sent = await asked(scope)
    assert through == [{**scope, CLIENT: Client("alice")}]
    assert CLIENT not in scope
    assert sent == []


async def test_refused_over_asgi() -> None:
    """The application is not run, and the answer is whole."""
    through, sent = await asked(REQUEST, b"{", b"}")
    assert through == []
    assert (sent[0]["status"], sent[1]["body"]) == (401, NO_TOKEN)
    assert dict(sent[0]["headers"]) == {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": str(len(NO_TOKEN)).encode(),
        b"www-authenticate": b'Bearer realm="gateway"',
    }


@pytest.mark.parametrize(
    ("version", "body", "ends", "told"),
    [
        ("1.1", [b"x" * 1000] * 60, True, False),
        ("1.1", [b"x" * 1000] * 70, True, True),
        ("1.1", [b"x"], False, True),
        ("1.1", [], False, True),
        ("2", [], False, False),
    ],
)
async def test_a_refused_request_is_read_to_its_end(
    version: str, body: list[bytes], ends: bool, told: bool, autojump_clock: MockClock
) -> None:
    """Its connection can be used again then; where that takes too long, the client is told that it can't."""
    _, sent = await asked({**REQUEST, "http_version": version}, *body, ends=ends)
    assert sent[0]["status"] == 401
    assert ((b"connection", b"close") in sent[0]["headers"]) is told


async def test_a_client_that_leaves() -> None:
    """One that has gone away before its request ended is not waited for."""
    check = AdmissionCheck(cast("Any", None), Gate().admission)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await check(cast("Any", REQUEST), receive, cast("Any", send))
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_what_is_no_request(kind: str) -> None:
    """What asks for nothing is passed on."""
    scope: dict[str, Any] = {"type": kind, "headers": [], "client": None}
    assert await asked(scope) == ([scope], [])
