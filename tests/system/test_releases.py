"""A new release of an upstream, while a gateway runs: purged, warmed, and told to whoever listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import mcp_types as types
import pytest
import trio
from mcp.client.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged

from tests.fakes import varlet
from tests.fakes.registry import Registry, package
from tests.system.processes import Gateway, command, environment

WATCHING = [
    "--set",
    'upstreams.varlet-package.watch.interval="200ms"',
    "--set",
    "upstream_defaults.retries=0",
]
NEXT = "2.1.0"

pytestmark = [
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


def release(registry: Registry) -> None:
    registry.publish(varlet.PACKAGE, NEXT, package(varlet.files(NEXT)))


async def version_of(client: Client) -> str:
    answer = await client.call_tool("get_component_props", {"name": "button"})
    assert answer.structured_content is not None
    return str(answer.structured_content["version"])


@asynccontextmanager
async def over_stdio(folder: Path, registry: str, mode: str, heard: trio.Event) -> AsyncIterator[Client]:
    async def hear(message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            heard.set()

    _, *arguments = command("stdio", *WATCHING)
    environ = environment(folder, registry=registry)
    server = StdioServerParameters(command=command()[0], args=arguments, env=environ, cwd=folder)
    with (folder / "stderr").open("w") as log:
        async with Client(stdio_client(server, log), mode=mode, message_handler=hear) as client:
            yield client
    assert "Traceback" not in (folder / "stderr").read_text()


async def test_a_client_of_the_handshake_era_is_told_over_stdio(tmp_path: Path, registry: Registry) -> None:
    """It gets notifications/tools/list_changed, and then answers about the new release."""
    heard = trio.Event()
    async with over_stdio(tmp_path, registry.url, "legacy", heard) as client:
        assert await version_of(client) == "2.0.0"
        release(registry)
        with trio.fail_after(30):
            await heard.wait()
        assert await version_of(client) == NEXT


@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_listening_client_is_told(transport: str, tmp_path: Path, registry: Registry) -> None:
    """A listen stream gets the event; the gateway ends without waiting for the stream."""

    async def listen(client: Client) -> None:
        assert await version_of(client) == "2.0.0"
        async with client.listen(tools_list_changed=True) as events:
            release(registry)
            with trio.fail_after(30):
                async for event in events:
                    assert isinstance(event, ToolsListChanged)
                    break
        assert await version_of(client) == NEXT

    if transport == "stdio":
        async with over_stdio(tmp_path, registry.url, "2026-07-28", trio.Event()) as client:
            await listen(client)
        return
    starting = lambda: Gateway.serving(tmp_path, *WATCHING, registry=registry.url)  # noqa: E731
    with await trio.to_thread.run_sync(starting) as gateway:
        async with Client(gateway.url, mode="2026-07-28") as client:
            await listen(client)
            async with client.listen(tools_list_changed=True):
                assert await trio.to_thread.run_sync(gateway.stop) == 0


async def test_a_subscriber_of_a_resource_is_told(tmp_path: Path, registry: Registry) -> None:
    """What is made of the package is told of with its new release; what is made of something else is not."""
    async with over_stdio(tmp_path, registry.url, "2026-07-28", trio.Event()) as client:
        assert await version_of(client) == "2.0.0"
        async with client.listen(resource_subscriptions=["varlet://docs/changelog", "varlet://components"]) as events:
            release(registry)
            with trio.fail_after(30):
                async for event in events:
                    assert event == ResourceUpdated("varlet://components")
                    break
        read = await client.read_resource("varlet://components")
        assert isinstance(read, types.ReadResourceResult)
        assert isinstance(read.contents[0], types.TextResourceContents)
        assert NEXT in read.contents[0].text
