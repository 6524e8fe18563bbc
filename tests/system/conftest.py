from __future__ import annotations

import pytest
import trio

from tests.fakes import varlet
from tests.fakes.http_server import HttpServer
from tests.fakes.registry import Registry


@pytest.fixture
async def registry(nursery: trio.Nursery) -> Registry:
    """An npm registry with a small package in the layout of Varlet's."""
    registry = Registry()
    await nursery.start(registry.serve)
    varlet.publish(registry)
    return registry


@pytest.fixture
async def docs(nursery: trio.Nursery) -> HttpServer:
    """A CDN with a small documentation."""
    server = HttpServer()
    await nursery.start(server.serve)
    varlet.document(server)
    return server
