"""The SDK's own client with a session over HTTP: it is asked, and told; with the front and without."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
import trio
from mcp.client.client import Client
from mcp.client.session import IncomingMessage

from tests.system.conformance.fixtures import fixtures
from tests.system.processes import Gateway
from tests.system.test_offers import PROFILE

pytestmark = [
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
    pytest.mark.parametrize("front", ["true", "false"]),
]


@asynccontextmanager
async def serving(folder: Path, front: str, *arguments: str) -> AsyncIterator[Gateway]:
    """A gateway with sessions; it has to end well, also where clients still listen."""
    told = ("--set", "server.sessions=true", "--set", f"server.front={front}")
    starting = lambda: Gateway.serving(folder, *arguments, *told)  # noqa: E731
    with await trio.to_thread.run_sync(starting) as gateway:
        yield gateway
        assert await trio.to_thread.run_sync(gateway.stop) == 0


async def elicited(_context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": params.message, "email": "ada@example.org"})


async def sampled(_context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
    said = types.TextContent(type="text", text=f"as a model would say: {json.dumps(params.max_tokens)}")
    return types.CreateMessageResult(role="assistant", content=said, model="none")


async def test_questions_reach_the_client(front: str, tmp_path: Path) -> None:
    """What a federated server wants to know of the user or of the model is asked of the client within its call."""
    async with serving(tmp_path, front, *fixtures(tmp_path)) as gateway:
        answering: dict[str, Any] = {"elicitation_callback": elicited, "sampling_callback": sampled}
        async with Client(gateway.url, mode="legacy", **answering) as client:
            with trio.fail_after(60):
                asked = await client.call_tool("test_elicitation", {"message": "Who?"})
                model = await client.call_tool("test_sampling", {"prompt": "say it"})
        assert not asked.is_error, asked
        assert "ada@example.org" in str(asked.content)
        assert not model.is_error, model
        assert "as a model would say: 100" in str(model.content)


async def test_each_session_has_its_log_level(front: str, tmp_path: Path) -> None:
    """What one client wants to hear is not what another one does."""
    told: dict[str, list[Any]] = {"quiet": [], "usual": []}
    async with serving(tmp_path, front, *fixtures(tmp_path)) as gateway, AsyncExitStack() as stack:
        clients = {}
        for name, heard in told.items():

            async def hear(params: types.LoggingMessageNotificationParams, heard: list[Any] = heard) -> None:
                heard.append(params.data)

            connecting = Client(gateway.url, mode="legacy", logging_callback=hear)
            clients[name] = await stack.enter_async_context(connecting)
        with trio.fail_after(60):
            await clients["quiet"].set_logging_level("error")
            for client in clients.values():
                await client.call_tool("test_tool_with_logging", {})
    assert (len(told["quiet"]), len(told["usual"])) == (0, 3)


async def test_who_has_subscribed_is_told(front: str, tmp_path: Path) -> None:
    """A client hears of the resource that it has subscribed to, another one only that lists may have changed."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "library.toml").write_text(PROFILE)
    book = tmp_path / "shelf" / "emma.md"
    book.write_text("# Emma")
    told: dict[str, set[str]] = {"reader": set(), "other": set()}
    async with serving(tmp_path, front, "--profile", "./library.toml") as gateway, AsyncExitStack() as stack:
        clients = {}
        for name, heard in told.items():

            async def hear(message: IncomingMessage, heard: set[str] = heard) -> None:
                match message:
                    case types.ResourceUpdatedNotification():
                        heard.add(str(message.params.uri))
                    case types.ResourceListChangedNotification():
                        heard.add("the list")

            connecting = Client(gateway.url, mode="legacy", message_handler=hear)
            clients[name] = await stack.enter_async_context(connecting)
        reader = clients["reader"]
        assert reader.server_capabilities is not None
        assert reader.server_capabilities.tools is not None
        assert reader.server_capabilities.tools.list_changed
        assert reader.server_capabilities.resources is not None
        assert reader.server_capabilities.resources.subscribe
        assert reader.server_capabilities.resources.list_changed
        with trio.fail_after(60):
            await reader.read_resource("library://books/emma")
            await reader.subscribe_resource("library://books")
            await reader.subscribe_resource("library://books/emma")
            await reader.unsubscribe_resource("library://books")
            number = 0
            while told != {"reader": {"library://books/emma", "the list"}, "other": {"the list"}}:
                number += 1  # a client opens its stream in its own time, and hears nothing of what came before
                book.write_text(f"# Emma, edition {number}")
                await trio.sleep(0.3)
            read = await reader.read_resource("library://books/emma")
        assert isinstance(read, types.ReadResourceResult)
        assert isinstance(read.contents[0], types.TextResourceContents)
        assert read.contents[0].text.startswith("# Emma, edition")
