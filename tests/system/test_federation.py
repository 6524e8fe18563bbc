"""MCP's own servers from npm behind the gateway: both transports on their side, both transports and eras on ours."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
import trio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from tests.fakes.http_server import HttpServer, answer
from tests.fakes.registry import Registry
from tests.system.npm import npm_servers, program
from tests.system.processes import Gateway, command, environment, run

__all__ = ["npm_servers"]

pytestmark = [
    pytest.mark.network,
    # The SDK's client leaves the generators of its event streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]

HEAD = """
[strategies.s]
ttl = "1h"
"""


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


@contextmanager
def everything_at(servers: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """server-everything over streamable HTTP."""
    process = subprocess.Popen(
        ["node", program(servers, "everything"), "streamableHttp"],
        env={"PATH": os.environ["PATH"], "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def everything(servers: Path, port: int | None) -> str:
    """The table of an upstream that is server-everything, over stdio or at a port."""
    where = (
        f'url = "http://127.0.0.1:{port}/mcp"'
        if port is not None
        else f"command = {json.dumps(['node', program(servers, 'everything')])}"
    )
    patience = 'start_patience = "60s"\nreconnect_delay = "100ms"\nbreaker = { ejection = "100ms" }'
    return f'[upstreams.ev]\ntype = "mcp"\n{where}\nstrategy = "s"\n{patience}\n'


async def elicited(_context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    assert params.message.startswith("Please provide inputs")
    return types.ElicitResult(action="accept", content={"name": "Ada", "check": True, "integer": 3, "number": 4.5})


async def sampled(_context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
    said = types.TextContent(type="text", text="as a model would say")
    return types.CreateMessageResult(role="assistant", content=said, model="none")


@asynccontextmanager
async def connected(serving: str, mode: str, folder: Path, profile: str) -> AsyncIterator[Client]:
    """A client of a gateway with this profile, which answers what it is asked."""
    (folder / "p.toml").write_text(profile)
    callbacks: dict[str, Any] = {"elicitation_callback": elicited, "sampling_callback": sampled}
    if serving == "stdio":
        _, *arguments = command("stdio", "--profile", "./p.toml")
        server = StdioServerParameters(command=command()[0], args=arguments, env=environment(folder), cwd=folder)
        with (folder / "stderr").open("w") as log:
            async with Client(stdio_client(server, log), mode=mode, **callbacks) as client:
                yield client
        assert "Traceback" not in (folder / "stderr").read_text()
        return
    response = ("--set", "server.response=stream") if serving.endswith("stream") else ()
    starting = lambda: Gateway.serving(folder, "--profile", "./p.toml", *response)  # noqa: E731
    with await trio.to_thread.run_sync(starting) as gateway:
        async with Client(gateway.url, mode=mode, **callbacks) as client:
            yield client
        assert await trio.to_thread.run_sync(gateway.stop) == 0


@pytest.mark.parametrize(
    ("far", "serving", "mode"),
    [
        ("stdio", "stdio", "legacy"),
        ("stdio", "http stream", "auto"),
        ("stdio", "http", "legacy"),
        ("http", "stdio", "auto"),
        ("http", "http stream", "legacy"),
        ("http", "http", "auto"),
    ],
)
async def test_everything(far: str, serving: str, mode: str, tmp_path: Path, npm_servers: Path) -> None:
    """Whatever server-everything offers reaches a client: the whole of it through every transport and era."""
    port = free_port() if far == "http" else None
    profile = HEAD + everything(npm_servers, port)
    with everything_at(npm_servers, port) if port is not None else nullcontext(), trio.fail_after(100):
        async with connected(serving, mode, tmp_path, profile) as client:
            await whole(client, serving, mode)


async def whole(client: Client, serving: str, mode: str) -> None:
    """Use all that there is."""
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert {"ev_echo", "ev_get-sum", "ev_trigger-elicitation-request"} <= set(names)

    first = await client.call_tool("ev_echo", {"message": "hé"})
    again = await client.call_tool("ev_echo", {"message": "hé"})
    for result, status in ((first, "miss"), (again, "hit")):
        assert isinstance(result.content[0], types.TextContent)
        assert result.content[0].text == "Echo: hé"
        assert result.meta is not None
        assert result.meta["gateway/cache"]["status"] == status

    wrong = await client.call_tool("ev_get-sum", {"a": "x"})
    assert wrong.is_error

    told: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    steps = {"duration": 0.1, "steps": 2}
    await client.call_tool("ev_trigger-long-running-operation", steps, progress_callback=progressed)
    if serving != "http":  # one JSON body has no room for it
        assert told == [1, 2]

    resources = await client.list_resources()
    uri = resources.resources[0].uri
    assert uri.startswith("ev+demo://resource/static/document/")
    page = (await client.read_resource(uri)).contents[0]
    assert isinstance(page, types.TextResourceContents)
    assert page.uri == uri
    assert page.text.startswith("# ")
    templates = (await client.list_resource_templates()).resource_templates
    assert templates[0].uri_template == "ev+demo://resource/dynamic/text/{resourceId}"
    dynamic = (await client.read_resource("ev+demo://resource/dynamic/text/7")).contents[0]
    assert isinstance(dynamic, types.TextResourceContents)
    assert dynamic.text.startswith("Resource 7")
    with pytest.raises(MCPError, match="demo://none not found"):
        await client.read_resource("ev+demo://none")

    assert "ev_args-prompt" in [prompt.name for prompt in (await client.list_prompts()).prompts]
    prompt = await client.get_prompt("ev_args-prompt", {"city": "Ulm"})
    assert isinstance(prompt.messages[0].content, types.TextContent)
    assert "Ulm" in prompt.messages[0].content.text
    ref = types.PromptReference(type="ref/prompt", name="ev_completable-prompt")
    completed = await client.complete(ref, {"name": "department", "value": "E"})
    assert completed.completion.values == ["Engineering"]

    asked = await client.call_tool("ev_trigger-elicitation-request", {})
    model = await client.call_tool("ev_trigger-sampling-request", {"prompt": "say it"})
    if serving == "stdio" or mode == "auto":  # else there is no way back to the client
        assert "Ada" in str(asked.content)
        assert "as a model would say" in str(model.content)
    else:
        assert "can't be asked" in str(asked.content) + str(model.content)


async def test_filesystem(tmp_path: Path, npm_servers: Path) -> None:
    """server-filesystem reads, and writes each time it is told to; only what reads is cached, and kept tools only."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "a.txt").write_text("first")
    where = json.dumps(["node", program(npm_servers, "filesystem"), str(shared)])
    profile = (
        f'{HEAD}[upstreams.fs]\ntype = "mcp"\ncommand = {where}\nstrategy = "s"\nexclude = ["move_*"]\n'
        'start_patience = "60s"\n'
        '[upstreams.fs.tools.read_text_file]\nname = "read"\ndescription = "What a file says."\n'
    )
    with trio.fail_after(100):
        async with connected("stdio", "auto", tmp_path, profile) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert tools["read"].description == "What a file says."
            assert "fs_move_file" not in tools
            for _ in range(2):
                read = await client.call_tool("read", {"path": str(shared / "a.txt")})
                assert isinstance(read.content[0], types.TextContent)
                assert read.content[0].text == "first"
                (shared / "a.txt").write_text("changed")  # the second answer comes from the cache
            for _ in range(2):
                target = {"path": str(shared / "b.txt"), "content": "x"}
                assert not (await client.call_tool("fs_write_file", target)).is_error
                (shared / "b.txt").unlink()
            with pytest.raises(MCPError, match="Unknown tool: fs_move_file"):
                await client.call_tool("fs_move_file", {})
            outside = await client.call_tool("fs_read_file", {"path": "/etc/passwd"})
            assert outside.is_error


SPECIFICATION = {
    "openapi": "3.1.0",
    "info": {"title": "Weather", "version": "1"},
    "paths": {
        "/cities/{city}": {
            "get": {
                "operationId": "getWeather",
                "parameters": [{"name": "city", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "The weather in a city."}},
            }
        }
    },
}


async def test_three_sources_of_which_one_dies(
    tmp_path: Path, npm_servers: Path, registry: Registry, docs: HttpServer, nursery: trio.Nursery
) -> None:
    """A federated server, Varlet's tools and an imported OpenAPI share one profile; one that dies leaves the others."""
    weather, weather_lives = HttpServer(), trio.CancelScope()

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        with weather_lives:
            await weather.serve(task_status=task_status)

    await nursery.start(serve)
    weather.on("/v1/cities/ulm", answer(b'{"high": 21}'))
    (tmp_path / "weather.json").write_text(json.dumps(SPECIFICATION))
    imported = ("weather.json", "-o", "weather.toml", "--base-url", f"{weather.url}/v1")
    told = await run(tmp_path, "import", "openapi", *imported)
    assert told.code == 0, told.err
    port = free_port()
    (tmp_path / "p.toml").write_text(
        f'extends = ["varlet.toml", "weather.toml"]\n{HEAD}\n{everything(npm_servers, port)}'
    )
    starting = lambda: Gateway.serving(tmp_path, "--profile", "./p.toml", registry=registry.url)  # noqa: E731
    with (
        trio.fail_after(100),
        everything_at(npm_servers, port) as server,
        await trio.to_thread.run_sync(starting) as gateway,
    ):
        async with Client(gateway.url) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert {"get_component_props", "get_weather", "ev_echo"} <= set(names)

            async def works(tool: str, **arguments: Any) -> bool:
                return not (await client.call_tool(tool, arguments)).is_error

            async def says(tool: str, **arguments: Any) -> str:
                result = await client.call_tool(tool, arguments)
                assert isinstance(result.content[0], types.TextContent)
                return result.content[0].text

            assert await works("get_component_props", name="Button")
            assert await works("get_weather", city="ulm")
            assert await works("ev_get-sum", a=1, b=2)
            server.kill()
            server.wait(30)
            assert await works("get_component_props", name="Dialog")
            assert await works("get_weather", city="ulm")
            assert await works("ev_get-sum", a=1, b=2), "it is in the cache"
            assert (await says("ev_get-sum", a=2, b=2)).startswith("ev: ")
            assert [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools] == names
            with everything_at(npm_servers, port):
                while not await works("ev_get-sum", a=3, b=3):  # noqa: ASYNC110  # another process's doing
                    await trio.sleep(0.05)
                weather_lives.cancel()
                assert re.match("weather: no connection to ", await says("get_weather", city="bern"))
                assert await works("list_components")
                assert await works("ev_get-sum", a=4, b=4)
                assert [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools] == names
        assert await trio.to_thread.run_sync(gateway.stop) == 0
