"""A gateway over badly behaved MCP servers: their folders, what they list, and a client's side of a request."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.catalogue.result import CallResult
from gateway.profile.loader import load_profile
from gateway.upstream.mcp.model import Answers, Json

CHILD = Path(__file__).parent / "mcp_child.py"


NO_JSON = ("NaN", "-Infinity", "1e999", r'"\ud800"', '"', "[" * 100_000 + "]" * 100_000)
"""What stands where JSON has a value, and is none that a value can be made of."""


def tool(name: str, *, read_only: bool | None = None, description: str = "a tool", **more: Any) -> dict[str, Any]:
    """A definition as a server lists it."""
    found: dict[str, Any] = {"name": name, "description": description, "inputSchema": {"type": "object"}, **more}
    if read_only is not None:
        found["annotations"] = {"readOnlyHint": read_only}
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process brings about."""
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110  # no event of ours comes of it
            await trio.sleep(0.005)


async def until_answered(gateway: Gateway, name: str) -> None:
    """Call a tool until its answer is no error."""
    with trio.fail_after(20):
        while (await gateway.catalogue.call(name, {})).is_error:  # noqa: ASYNC110  # a process is on its way
            await trio.sleep(0.01)


@dataclass
class Child:
    """The folder of a server that runs as a process of its own."""

    folder: Path

    def lists(self, *tools: Mapping[str, Any], **more: Any) -> None:
        """What it lists from now on."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "new").write_text(json.dumps({"tools": tools, **more}))
        (self.folder / "new").replace(self.folder / "lists.json")

    @property
    def seen(self) -> list[str]:
        """What it has seen so far, a line each."""
        file = self.folder / "seen"
        return file.read_text().splitlines() if file.exists() else []

    async def sees(self, beginning: str, times: int = 1) -> str:
        """Wait until it has seen something often enough; the last such line."""

        def found() -> list[str]:
            return [line for line in self.seen if line.startswith(beginning)]

        await until(lambda: len(found()) >= times)
        return found()[-1]

    @property
    def command(self) -> str:
        """The command, as a profile writes it."""
        return json.dumps([sys.executable, "-S", "-E", str(CHILD), str(self.folder)])


@dataclass
class FakeChannel:
    """A client whose request is under way, and what it was told."""

    answers: Answers = "never"
    capabilities: Mapping[str, Any] = field(default_factory=lambda: {"elicitation": {}})
    log_level: str | None = None
    says: Json = field(default_factory=lambda: {"action": "accept", "content": {"name": "Ada"}})
    told: list[Any] = field(default_factory=list)
    logged: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, total, message))

    async def log(self, params: Mapping[str, Any]) -> None:
        self.logged.append(params["data"])

    async def ask(self, method: str, params: Mapping[str, Any]) -> Json:
        self.asked.append((method, params.get("message")))
        return self.says


@asynccontextmanager
async def gateway_of(folder: Path, text: str, *, ahead: bool = False) -> AsyncIterator[Gateway]:
    """A gateway of the profile `text`, with no disk tier and its pins in the folder."""
    head = f'[cache.disk]\nenabled = false\n[federation]\npins = "{folder / "pins"}"\n[strategies.s]\nttl = "1h"\n'
    (folder / "p.toml").write_text(head + text)
    profile = load_profile("p", environ={}, cwd=folder, folders=[folder]).profile
    async with open_gateway(profile, ahead=ahead) as gateway:
        yield gateway


def upstream(child: Child, name: str = "far", more: str = "") -> str:
    """The table of an upstream that is `child`; `more` are further keys of it."""
    return f'[upstreams.{name}]\ntype = "mcp"\ncommand = {child.command}\nreconnect_delay = "10ms"\n{more}\n'


def names(gateway: Gateway, kind: str = "tools") -> list[str]:
    """What is listed."""
    key = {"resources": "uri", "templates": "uriTemplate"}.get(kind, "name")
    return [definition[key] for definition in gateway.catalogue.listing(kind).definitions]


async def until_listed(gateway: Gateway, expected: list[str]) -> None:
    """Wait until just these tools are listed."""
    await until(lambda: names(gateway) == expected)


def content(result: CallResult) -> str:
    """The text of a result."""
    (part,) = orjson.loads(result.payload)["content"]
    return str(part["text"])
