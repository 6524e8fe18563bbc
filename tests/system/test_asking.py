"""What a federated server wants to know of the user, the model and the client's folders, by the SDK's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
import trio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from pydantic import FileUrl

from tests.system.conformance.fixtures import fixtures
from tests.system.processes import Gateway, command, environment

pytestmark = [
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]


async def elicited(_context: Any, _params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.org"})


async def sampled(_context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
    said = types.TextContent(type="text", text="as a model would say")
    return types.CreateMessageResult(role="assistant", content=said, model="none")


async def listed(_context: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri=FileUrl("file:///home/ada"))])


@asynccontextmanager
async def connected(transport: str, mode: str, folder: Path) -> AsyncIterator[Client]:
    """A client, able to answer, of a gateway in front of the conformance suite's fixtures."""
    callbacks: Any = {"elicitation_callback": elicited, "sampling_callback": sampled, "list_roots_callback": listed}
    if transport == "stdio":
        program, *arguments = command("stdio", *fixtures(folder))
        server = StdioServerParameters(command=program, args=arguments, env=environment(folder), cwd=folder)
        with (folder / "stderr").open("w") as log:
            async with Client(stdio_client(server, log), mode=mode, **callbacks) as client:
                yield client
        assert "Traceback" not in (folder / "stderr").read_text()
        return
    starting = lambda: Gateway.serving(folder, *fixtures(folder))  # noqa: E731
    with await trio.to_thread.run_sync(starting) as gateway:
        async with Client(gateway.url, mode=mode, **callbacks) as client:
            yield client
        assert await trio.to_thread.run_sync(gateway.stop) == 0


@pytest.mark.parametrize(("transport", "mode"), [("stdio", "legacy"), ("stdio", "auto"), ("http", "auto")])
async def test_a_client_answers(transport: str, mode: str, tmp_path: Path) -> None:
    """At once or in a new request, as its era has it; also questions of several parts and of several rounds."""
    with trio.fail_after(100):
        async with connected(transport, mode, tmp_path) as client:

            async def says(name: str, **arguments: Any) -> str:
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result.content
                return str(result.content)

            assert "ada@example.org" in await says("test_elicitation", message="Who are you?")
            assert "as a model would say" in await says("test_sampling", prompt="say it")
            assert "file:///home/ada" in await says("test_input_required_result_list_roots")
            everything = await says("test_input_required_result_multiple_inputs")
            assert all(part in everything for part in ("username", "as a model would say", "file:///home/ada"))
            assert "step2" in await says("test_input_required_result_multi_round")
