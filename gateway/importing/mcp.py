"""What an MCP server offers, as an upstream in TOML: every definition by its hash, for a person to read and accept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import trio
from pydantic import ValidationError

from gateway.errors import GatewayError, UpstreamError, UpstreamUnavailable
from gateway.importing.toml import Written, comment, table
from gateway.pipeline.glob import Glob
from gateway.printable import printable
from gateway.profile.interpolation import interpolate
from gateway.profile.tree import Node, Origin, plain
from gateway.profile.units import format_duration
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.upstream.mcp.model import Channel, Definitions, Json, own_name
from gateway.upstream.mcp.pins import digest
from gateway.upstream.mcp.session import Session
from gateway.upstream.mcp.streams import open_streams

_KINDS = ("tools", "resources", "templates", "prompts")
_HINTS = {
    "readOnlyHint": "read-only",
    "idempotentHint": "idempotent",
    "destructiveHint": "destructive",
    "openWorldHint": "open world",
}
_LINES = 20
"""Lines of a description that are told."""
_ARGUMENTS = 50
"""Arguments that are named."""


@dataclass(frozen=True, slots=True)
class Server:
    """An MCP server that a person has named: an address, or a command and its arguments."""

    where: Sequence[str]
    name: str | None = None
    prefix: str | None = None
    headers: Mapping[str, str] | None = None
    """For an address; values may hold `${…}`."""
    env: Mapping[str, str] | None = None
    """For a command; values may hold `${…}`."""
    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()

    @property
    def url(self) -> str | None:
        """The address, if it is one."""
        (first, *rest) = self.where
        return first if not rest and first.lower().startswith(("http://", "https://")) else None

    def takes(self, own: str) -> bool:
        """Whether a definition is to be imported."""
        wanted = any(Glob(pattern).matches(own) for pattern in self.include)
        return wanted and not any(Glob(pattern).matches(own) for pattern in self.exclude)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a server says of itself and lists."""

    title: str
    definitions: Definitions


async def imported(server: Server, environ: Mapping[str, str]) -> tuple[str, int]:
    """The upstream of a server in TOML, and how many definitions it has.

    The server is started or reached, asked for its lists, and left again. Raises UpstreamError where it is not there,
    does not speak MCP or does not list what it has in time, and GatewayError for what can't be asked. Cancelling ends
    it.
    """
    name = server.name or _name(server)
    said = _said(server)
    offered = await _offered(name, _section(name, said, environ), environ)
    pins = {
        f"{kind}/{own_name(kind, definition)}": (kind, definition)
        for kind in _KINDS
        for definition in offered.definitions.of(kind)
        if server.takes(own_name(kind, definition))
    }
    if not pins:
        raise GatewayError(f"{name}: it lists nothing that is to be imported; see --include and --exclude")
    upstream = table(("upstreams", name), {**said, "trust": "declared"}, spread=("headers", "env"))
    return _head(server, offered) + "\n" + upstream + _pinned(name, pins), len(pins)


def _said(server: Server) -> dict[str, Any]:
    """The upstream's own keys, as the person said them."""
    url = server.url
    said: dict[str, Any] = {"type": "mcp"}
    said.update({"url": url} if url is not None else {"command": list(server.where)})
    if url is not None and urlsplit(url).hostname == "localhost":
        said["private_addresses"] = True
    if server.prefix is not None:
        said["prefix"] = server.prefix
    for key, values in (("headers", server.headers), ("env", server.env)):
        if values:
            said[key] = {name: Written(value) for name, value in values.items()}
    return said


def _section(name: str, said: Mapping[str, Any], environ: Mapping[str, str]) -> McpUpstream:
    origin = Origin("--header")
    filled: dict[str, Any] = {}
    for key in ("headers", "env"):
        root = Node({name: Node(str(value), origin) for name, value in said.get(key, {}).items()}, origin)
        node, findings = interpolate(root, environ)
        for finding in findings:
            raise GatewayError(f"--{key.rstrip('s')}: expected {finding.expected}, found {finding.found}")
        filled[key] = plain(node)
    try:
        return McpUpstream.model_validate({**said, **filled, "private_addresses": True})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise GatewayError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


async def _offered(name: str, section: McpUpstream, environ: Mapping[str, str]) -> Offered:
    """Ask the server; a failure is kept from the exception groups of the tasks that speak with it."""
    failure: UpstreamError | None = None
    async with open_streams(name, section, environ, lambda: None) as streams:
        session = Session(name, section, streams, _nobody)
        async with session.client:
            try:
                with trio.fail_after(section.start_timeout):
                    await session.negotiate()
                    about = session.client.server_info
                    return Offered(_title(about), await session.definitions())
            except UpstreamError as error:
                failure = error
            except trio.TooSlowError:
                limit = format_duration(section.start_timeout)
                failure = UpstreamUnavailable(name, f"it did not begin a session and list what it has within {limit}")
    raise failure


async def _nobody(channel: Channel, method: str, params: Json) -> Json:
    return await channel.ask(method, params)


def _head(server: Server, offered: Offered) -> str:
    return comment(
        f"{offered.title}, imported by `gateway import mcp` from {' '.join(server.where)}.",
        "Read the descriptions before you use it: a model will. Only what is pinned here is live; whatever the server",
        "changes or adds later is set aside until its hash is (`gateway pins` shows it).",
        'Answers of tools that only read are kept with strategy = "NAME" of a [strategies.NAME].',
    )


def _pinned(name: str, pins: Mapping[str, tuple[str, Json]]) -> str:
    text = table(("upstreams", name, "pins"), {})
    for key, (kind, definition) in pins.items():
        line = table(("x",), {key: digest(kind, definition)}).partition("\n")[2]
        text += "\n" + comment(*_about(kind, definition)) + line
    return text


def _about(kind: str, definition: Json) -> Iterator[str]:
    """What a reviewer wants to know of a definition."""
    for key in ("title", "description"):
        yield from str(definition.get(key) or "").splitlines()[:_LINES]
    hints = definition.get("annotations")
    if kind == "tools":
        said = [word for hint, word in _HINTS.items() if isinstance(hints, dict) and hints.get(hint) is True]
        yield f"It says that it is {', '.join(said)}." if said else "It does not say that it only reads."
        schema = definition.get("inputSchema")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        yield f"Arguments: {', '.join(map(str, list(properties)[:_ARGUMENTS]))}" if properties else ""
    elif kind == "prompts" and definition.get("arguments"):
        yield f"Arguments: {', '.join(str(one.get('name')) for one in definition['arguments'][:_ARGUMENTS])}"


def _title(about: Any) -> str:
    name, version = getattr(about, "name", "") or "An MCP server", getattr(about, "version", "")
    return printable(f"{name} {version}".strip(), 200)


def _name(server: Server) -> str:
    """What to call the upstream: after its host, or after the program, whoever starts it."""
    url = server.url
    if url is not None:
        said = urlsplit(url).hostname or ""
    else:
        words = [word for word in server.where if not word.startswith("-")]
        said = words[1] if len(words) > 1 and words[0].rpartition("/")[2] in _RUNNERS else words[0] if words else ""
        said = re.sub(r"\.\w{1,3}$", "", said.rpartition("/")[2].partition("@")[0] or said)
    name = re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")[:40].strip("-")
    return name or "server"


_RUNNERS = frozenset({"npx", "uvx", "node", "bun", "deno", "python", "python3", "pipx", "docker"})
