"""Asking a scripted server through a client of its own, and the sentence that a failure becomes."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gateway.errors import UpstreamError
from gateway.profile.upstreams.http import HttpUpstream
from gateway.upstream.client import Answer, open_client
from gateway.upstream.model import Validators
from tests.fakes.http_server import HttpServer


def section(**more: Any) -> HttpUpstream:
    table = {"type": "http", "base_url": "http://127.0.0.1", "retries": 0, "retry_delay": "10ms", **more}
    return HttpUpstream.model_validate(table)


async def get(server: HttpServer, target: str = "/doc", *, validators: Validators | None = None, **more: Any) -> Answer:
    async with open_client("api", section(**more)) as client:
        return await client.get(httpx2.URL(server.url + target), validators=validators)


async def failure(server: HttpServer, kind: type[UpstreamError], **more: Any) -> str:
    """The sentence of the one exception that asking for /doc raises, without the server's port."""
    with pytest.raises(kind) as raised:
        await get(server, **more)
    assert type(raised.value).__mro__[:2].count(kind) == 1
    return str(raised.value).replace(server.url, "http://host")
