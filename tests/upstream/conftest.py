from __future__ import annotations

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
