"""The SDK's own client against the real process, over both transports and in both eras of the protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import mcp_types as types
import pytest
import trio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from tests.fakes import varlet
from tests.fakes.registry import Registry
from tests.system.processes import Gateway, command, environment

pytestmark = [
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"]),
    pytest.mark.parametrize("transport", ["http", "http stream", "stdio"]),
]


@asynccontextmanager
async def connected(transport: str, mode: str, folder: Path, registry: str) -> AsyncIterator[Client]:
    """A client of a gateway that was started for it."""
    if transport == "stdio":
        _, *arguments = command("stdio")
        environ = environment(folder, registry=registry)
        server = StdioServerParameters(command=command()[0], args=arguments, env=environ, cwd=folder)
        with (folder / "stderr").open("w") as log:
            async with Client(stdio_client(server, log), mode=mode) as client:
                yield client
        assert "Traceback" not in (folder / "stderr").read_text()
        return
    response = ("--set", "server.response=stream") if transport.endswith("stream") else ()
    starting = lambda: Gateway.serving(folder, *response, registry=registry)  # noqa: E731
    with await trio.to_thread.run_sync(starting) as gateway:
        async with Client(gateway.url, mode=mode) as client:
            yield client
        assert await trio.to_thread.run_sync(gateway.stop) == 0


async def test_everything_a_client_does(transport: str, mode: str, tmp_path: Path, registry: Registry) -> None:
    """A client gets to know the server, lists its tools, and calls them: right, wrong, and with something unknown."""
    async with connected(transport, mode, tmp_path, registry.url) as client:
        with trio.fail_after(60):
            modern = mode != "legacy"
            if mode in ("legacy", "auto"):  # else the client asks nothing first
                assert client.server_info is not None
                assert client.server_info.name == "varlet"
            assert (client.protocol_version >= "2026") == modern

            listed = await client.list_tools()
            assert [tool.name for tool in listed.tools] == list(varlet.TOOLS)
            assert listed.next_cursor is None
            if modern:
                assert (listed.ttl_ms, listed.cache_scope) == (60_000, "public")

            answer = await client.call_tool("get_component_props", {"name": "Button"})
            assert isinstance(answer, types.CallToolResult)
            described = varlet.web_types("2.0.0")["contributions"]["html"]["tags"][0]["attributes"]
            assert answer.structured_content == {"name": "var-button", "version": "2.0.0", "props": described}
            assert not answer.is_error
            assert answer.meta is not None
            assert answer.meta["gateway/cache"]["status"] == "miss"

            again = await client.call_tool("get_component_props", {"version": "latest", "name": "var-button"})
            assert isinstance(again, types.CallToolResult)
            assert again.structured_content == answer.structured_content
            assert again.meta is not None
            assert (again.meta["gateway/cache"]["status"], again.meta["gateway/cache"]["tier"]) == ("hit", "memory")

            wrong = await client.call_tool("get_component_props", {"nam": "Button"})
            assert isinstance(wrong, types.CallToolResult)
            assert wrong.is_error
            assert isinstance(wrong.content[0], types.TextContent)
            assert wrong.content[0].text.startswith("Invalid arguments: ")

            nothing = await client.call_tool("list_components")
            assert isinstance(nothing, types.CallToolResult)
            assert isinstance(nothing.content[0], types.TextContent)
            assert json.loads(nothing.content[0].text) == nothing.structured_content

            with pytest.raises(MCPError) as unknown:
                await client.call_tool("get_component_prop", {})
            assert unknown.value.error.code == types.INVALID_PARAMS
            with pytest.raises(MCPError) as cursor:
                await client.list_tools(cursor="made-up")
            assert cursor.value.error.code == types.INVALID_PARAMS
