"""Resources, prompts and completions of a profile, by the SDK's own client against the real process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
import trio
from mcp.client.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from tests.system.processes import Gateway, command, environment

PROFILE = """
extends = ["base.toml"]
[server]
name = "library"
[upstreams.shelf]
type = "files"
root = "./shelf"
watch.interval = "100ms"
[tools.list_books]
description = "All books."
strategy = "documentation"
fetch = { upstream = "shelf", path = "" }
result.select = "{ books: files[].trim_suffix(path, '.md') }"
[tools.get_book]
description = "A book."
strategy = "documentation"
input.properties.name = { type = "string" }
fetch = { upstream = "shelf", path = "{name}.md" }
result = { format = "text", missing = "There is no book {name}." }
[resources.books]
uri = "library://books"
tool = "list_books"
[resources.book]
uri = "library://books/{name}"
mime_type = "text/markdown"
tool = "get_book"
complete.name = { tool = "list_books", select = "books" }
[prompts.discuss]
arguments.name = { required = true, complete = { tool = "list_books", select = "books" } }
[[prompts.discuss.messages]]
text = "Discuss {name}."
[[prompts.discuss.messages]]
resource = "library://books/{name}"
"""

pytestmark = [
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "library.toml").write_text(PROFILE)
    (tmp_path / "shelf" / "emma.md").write_text("# Emma")
    (tmp_path / "shelf" / "ulysses.md").write_text("# Ulysses")
    return tmp_path / "shelf"


@asynccontextmanager
async def connected(transport: str, mode: str, folder: Path, hear: Any = None) -> AsyncIterator[Client]:
    """A client of a gateway that was started for it."""
    if transport == "stdio":
        _, *arguments = command("stdio", "--profile", "./library.toml")
        server = StdioServerParameters(command=command()[0], args=arguments, env=environment(folder), cwd=folder)
        with (folder / "stderr").open("w") as log:
            async with Client(stdio_client(server, log), mode=mode, message_handler=hear) as client:
                yield client
        assert "Traceback" not in (folder / "stderr").read_text()
        return
    starting = lambda: Gateway.serving(folder, "--profile", "./library.toml")  # noqa: E731
    with await trio.to_thread.run_sync(starting) as gateway:
        async with Client(gateway.url, mode=mode, message_handler=hear) as client:
            yield client
        assert await trio.to_thread.run_sync(gateway.stop) == 0


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_everything_a_client_does(transport: str, mode: str, tmp_path: Path, shelf: Path) -> None:
    """Lists, reads, prompts and completions, right and wrong."""
    async with connected(transport, mode, tmp_path) as client:
        with trio.fail_after(60):
            assert [str(each.uri) for each in (await client.list_resources()).resources] == ["library://books"]
            templates = (await client.list_resource_templates()).resource_templates
            assert [each.uri_template for each in templates] == ["library://books/{name}"]
            assert [each.name for each in (await client.list_prompts()).prompts] == ["discuss"]

            read = await client.read_resource("library://books/emma")
            assert isinstance(read, types.ReadResourceResult)
            (book,) = read.contents
            assert isinstance(book, types.TextResourceContents)
            assert (book.uri, book.mime_type, book.text) == ("library://books/emma", "text/markdown", "# Emma")
            if mode != "legacy":
                assert read.ttl_ms is not None
                assert 0 < read.ttl_ms <= 900_000

            prompt = await client.get_prompt("discuss", {"name": "ulysses"})
            assert isinstance(prompt, types.GetPromptResult)
            embedded = prompt.messages[1].content
            assert isinstance(embedded, types.EmbeddedResource)
            assert isinstance(embedded.resource, types.TextResourceContents)
            assert embedded.resource.text == "# Ulysses"

            ref = types.ResourceTemplateReference(uri="library://books/{name}")
            found = await client.complete(ref, {"name": "name", "value": "u"})
            assert found.completion.values == ["ulysses"]

            for wrong, data in (
                (client.read_resource("library://books/none"), None),
                (client.read_resource("library://book"), {"uri": "library://book"}),
                (client.get_prompt("discuss", {}), None),
                (client.get_prompt("nothing", {}), None),
            ):
                with pytest.raises(MCPError) as refused:
                    await wrong
                assert (refused.value.error.code, refused.value.error.data) == (types.INVALID_PARAMS, data)


@pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")
async def test_a_subscription_of_the_handshake_era(tmp_path: Path, shelf: Path) -> None:
    """Over stdio a client is told of the resource that it has subscribed to, until it has enough."""
    told: list[str] = []
    heard = trio.Event()

    async def hear(message: IncomingMessage) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            told.append(str(message.params.uri))
            heard.set()

    async with connected("stdio", "legacy", tmp_path, hear) as client:
        assert client.server_capabilities is not None
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.subscribe
        await client.read_resource("library://books/emma")
        with pytest.raises(MCPError):
            await client.subscribe_resource("library://book")
        await client.subscribe_resource("library://books")
        await client.subscribe_resource("library://books/emma")
        await client.unsubscribe_resource("library://books")
        (shelf / "emma.md").write_text("# Emma Woodhouse")
        with trio.fail_after(30):
            await heard.wait()
        assert set(told) == {"library://books/emma"}
        read = await client.read_resource("library://books/emma")
        assert isinstance(read, types.ReadResourceResult)
        assert isinstance(read.contents[0], types.TextResourceContents)
        assert read.contents[0].text == "# Emma Woodhouse"


@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_subscription_of_the_modern_era(transport: str, tmp_path: Path, shelf: Path) -> None:
    """A listen stream tells of the resource that it names, and of no other."""
    async with connected(transport, "2026-07-28", tmp_path) as client:
        await client.read_resource("library://books/emma")
        async with client.listen(resource_subscriptions=["library://books/emma", "other://x"]) as events:
            (shelf / "emma.md").write_text("# Emma Woodhouse")
            with trio.fail_after(30):
                async for event in events:
                    assert event == ResourceUpdated("library://books/emma")
                    break
