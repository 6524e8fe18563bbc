from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gateway.errors import GatewayError, UpstreamError, UpstreamUnavailable
from gateway.importing.mcp import Server, imported
from gateway.profile.loader import load_profile
from gateway.upstream.mcp.pins import digest
from tests.fakes.http_server import HttpServer, Request, answer, silent
from tests.fakes.mcp_rig import CHILD, Child, tool

CAPABILITIES: dict[str, Any] = {"tools": {}, "resources": {}, "prompts": {}}
NOTE = {"uri": "test://note", "name": "note"}
ASK = {"name": "ask", "arguments": [{"name": "what"}]}
TEMPLATE = {"uriTemplate": "test://{x}", "name": "x"}


def program(folder: Path) -> tuple[str, ...]:
    return (sys.executable, str(CHILD), str(folder))


async def text_of(server: Server) -> str:
    with trio.fail_after(30):
        return (await imported(server, {}))[0]


async def test_every_definition_is_pinned(tmp_path: Path) -> None:
    """The upstream that is written has each definition's hash under its name, and loads."""
    count = tool("count", read_only=True, inputSchema={"type": "object", "properties": {"n": {}, "m": {}}})
    child = Child(tmp_path / "child")
    child.lists(
        count, tool("write"), resources=[NOTE], prompts=[ASK], resourceTemplates=[TEMPLATE], capabilities=CAPABILITIES
    )
    text = await text_of(Server(program(child.folder)))
    (tmp_path / "p.toml").write_text(text)
    upstream = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path]).profile.upstreams["mcp-child"]
    assert upstream.type == "mcp"
    assert upstream.trust == "declared"
    assert upstream.command == program(child.folder)
    assert upstream.pins["tools/count"] == digest("tools", count)
    assert {"tools/write", "resources/test://note", "prompts/ask"} <= set(upstream.pins)
    assert "# It says that it is read-only.\n# Arguments: n, m\n" in text
    assert "# It does not say that it only reads.\n" in text
    assert "# Arguments: what\n" in text


async def test_what_is_chosen(tmp_path: Path) -> None:
    """Globs choose by the server's own names; the rest of what was said is kept."""
    child = Child(tmp_path / "child")
    child.lists(tool("read_a"), tool("read_b"), tool("write"))
    server = Server(program(child.folder), "mine", "x_", env={"TOKEN": "a"}, include=["read_*"], exclude=["*_b"])
    (upstream,) = tomllib.loads(await text_of(server))["upstreams"].values()
    assert list(upstream["pins"]) == ["tools/read_a"]
    assert (upstream["prefix"], upstream["env"]) == ("x_", {"TOKEN": "a"})
    with pytest.raises(GatewayError, match="it lists nothing that is to be imported"):
        await text_of(Server(program(child.folder), include=["nope"]))


async def test_hostile_definitions(tmp_path: Path) -> None:
    """No description ends its comment, and no name its key."""
    said = 'x\n[upstreams.evil]\r\n\x1b[31m\u2028" ${HOME}'
    child = Child(tmp_path / "child")
    child.lists(tool(said, description=said, title=said), tool("long", description="y" * 100_000))
    text = await text_of(Server(program(child.folder)))
    (tmp_path / "p.toml").write_text(text)
    profile = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path]).profile
    (upstream,) = profile.upstreams.values()
    assert upstream.type == "mcp"
    assert list(upstream.pins) == [f"tools/{said}", "tools/long"]
    assert len(text) < 3000


async def test_credentials_stay_where_they_are(nursery: trio.Nursery) -> None:
    """A header may refer to the environment: the value is sent, and what is written is the reference."""
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/mcp", answer(b"nonsense"))
    asked = Server((f"{server.url}/mcp",), headers={"X-Key": "${KEY}"})
    with pytest.raises(UpstreamError), trio.fail_after(30):
        await imported(asked, {"KEY": "secret"})
    assert {request.headers.get("x-key") for request in server.requests} == {"secret"}
    with pytest.raises(GatewayError, match=r"^--header: expected the environment variable KEY"):
        await imported(asked, {})


async def test_servers_that_are_none(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A program that ends, one that is not there, and an address where nobody speaks MCP: one sentence each."""
    server = HttpServer()
    await nursery.start(server.serve)
    cases: list[tuple[str, ...]] = [
        ("/bin/false",),
        (str(tmp_path / "nope"),),
        ("http://127.0.0.1:9/mcp",),
        (f"{server.url}/nope",),
    ]
    for where in cases:
        with pytest.raises(GatewayError) as caught, trio.fail_after(30):
            await imported(Server(where), {})
        assert "\n" not in str(caught.value)


async def test_a_server_that_never_answers(nursery: trio.Nursery, mock_clock: MockClock) -> None:
    """It is given up in time."""
    server, asked = HttpServer(), trio.Event()

    async def told_and_silent(request: Request, stream: trio.SocketStream) -> None:
        asked.set()
        await silent(request, stream)

    async def pass_the_time() -> None:
        await asked.wait()
        mock_clock.jump(19.9)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.2)

    await nursery.start(server.serve)
    server.on("/mcp", told_and_silent)
    nursery.start_soon(pass_the_time)
    began = trio.current_time()
    with pytest.raises(UpstreamUnavailable, match="did not begin a session and list what it has within 20s"):
        await imported(Server((f"{server.url}/mcp",)), {})
    assert trio.current_time() - began == pytest.approx(20.1), "neither earlier nor later"


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (("https://api.example.org/mcp",), "api-example-org"),
        (("npx", "-y", "@scope/server-files@1.2.3"), "server-files"),
        (("/usr/bin/python3", "tools/my_server.py", "--x"), "my-server"),
        (("my-server",), "my-server"),
        (("node", "-e", "1"), "1"),
        (("名前",), "server"),
    ],
)
def test_names(where: tuple[str, ...], name: str) -> None:
    """An upstream is called after its host or its program."""
    from gateway.importing.mcp import _name

    assert _name(Server(where)) == name


def test_hints_are_any() -> None:
    """A server's address is one only by itself."""
    about: Any = Server(("http://a", "b"))
    assert about.url is None
