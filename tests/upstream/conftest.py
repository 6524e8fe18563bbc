from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.fakes.http_server import HttpServer
from tests.fakes.registry import Registry


@pytest.fixture
async def server(nursery: trio.Nursery) -> HttpServer:
    """A scripted HTTP server on 127.0.0.1."""
    server = HttpServer()
    await nursery.start(server.serve)
    return server


@pytest.fixture
async def registry(nursery: trio.Nursery) -> Registry:
    """An npm registry on 127.0.0.1, empty."""
    registry = Registry()
    await nursery.start(registry.serve)
    return registry


@pytest.fixture
async def unused_url() -> AsyncIterator[str]:
    """An address on 127.0.0.1 where nothing listens."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"
