"""`type = "mcp"`: another MCP server, whose tools, resources and prompts are federated."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.profile.section import Name, Section, expected, matching
from gateway.profile.units import Duration
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.urls import EndpointUrl

Kind = Literal["tools", "resources", "prompts"]
LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]

Digest = Annotated[
    str, *matching("sha256:[0-9a-f]{64}", 'a hash such as "sha256:9f86d0…", as `gateway pins` prints it')
]

_PINNED = ("tools/", "resources/", "templates/", "prompts/")


class Redefinition(Section):
    """`[upstreams.NAME.prompts.PROMPT]`: how a federated definition is called and described here."""

    name: Name | None = None
    """Its name here, in place of prefix and own name."""
    title: str | None = None
    """A name for people."""
    description: Annotated[str, Field(min_length=1)] | None = None
    """What a model is told about it."""


class ToolRedefinition(Redefinition):
    """`[upstreams.NAME.tools.TOOL]`: how a federated tool is called, described and cached here."""

    strategy: Name | None = None
    """The name of a `[strategies.NAME]`, in place of the upstream's `strategy`."""
    read_only: bool | None = None
    """Whether it only reads, whatever its server says: only then it is retried, and with a strategy cached."""


class McpUpstream(Politeness):
    """Another MCP server, started as a command (stdio) or reached by its URL (streamable HTTP)."""

    type: Literal["mcp"]
    """Says that this is an MCP server."""
    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(default=None, strict=False, min_length=1)
    """The program and its arguments; no shell reads them. Credentials belong into `env`: arguments are public."""
    env: dict[str, str] = {}
    """Its environment, beside HOME, LOGNAME, PATH, SHELL, TERM and USER."""
    cwd: Annotated[str, Field(min_length=1)] | None = None
    """Its working directory; `~` is the home folder. Without it, the gateway's own."""
    url: EndpointUrl | None = None
    """The server's endpoint, such as `https://example.org/mcp`, instead of `command`."""
    headers: dict[str, str] = {}
    """Sent with every request to `url`."""
    era: Literal["auto", "handshake"] = "auto"
    """`handshake` leaves out the question whether the server speaks a revision of 2026 or later."""
    prefix: Annotated[str, *matching("[A-Za-z0-9_.-]{0,40}", 'at most 40 letters, digits, "_", "-" and "."')] | None = (
        None
    )
    """Stands in front of the names of tools and prompts; without it, the upstream's name and `_`."""
    uri_prefix: (
        Annotated[
            str,
            *matching(r"([a-z][a-z0-9.-]{0,39}\+)?", 'the beginning of a scheme such as "docs+", or nothing at all'),
        ]
        | None
    ) = None
    """Stands in front of the URIs of resources; without it, the upstream's name and `+`."""
    federate: tuple[Kind, ...] = Field(default=("tools", "resources", "prompts"), strict=False)
    """What is taken over."""
    include: tuple[str, ...] = Field(default=("*",), strict=False)
    """Which of them: the server's own names, and the URIs of resources; `*` is any text."""
    exclude: tuple[str, ...] = Field(default=(), strict=False)
    """...and which of those not."""
    strategy: Name | None = None
    """The name of a `[strategies.NAME]` for the answers of tools that only read, and for resources without `ttlMs`;
    without it they are not cached."""
    trust: Literal["first-use", "declared", "any"] = "first-use"
    """Which definitions are live: as they were when first seen or accepted (`gateway pins`), only those that `pins`
    names, or any. What is not live is neither listed nor called."""
    pins: dict[str, Digest] = {}
    """Hashes of definitions, by kind and the server's own name: `"tools/echo" = "sha256:…"`."""
    tools: dict[str, ToolRedefinition] = {}
    """Other names and descriptions for tools, by the server's own names."""
    prompts: dict[str, Redefinition] = {}
    """Other names and descriptions for prompts, by the server's own names."""
    resources: dict[str, Redefinition] = {}
    """Other names and descriptions for resources, by the server's own URIs."""
    client_features: tuple[Literal["elicitation", "sampling", "roots"], ...] = Field(
        default=("elicitation", "sampling"), strict=False
    )
    """What the server may ask the client for that called it; `roots`, the client's folders, only from 2026-07-28 on."""
    input_timeout: Annotated[Duration, Field(gt=0)] = 300.0
    """How long a client may take to answer that; the time does not count as the call's."""
    log_level: LogLevel = "warning"
    """The least severe of its log messages that a server of the handshake era is asked for."""
    max_definitions: Annotated[int, Field(ge=1)] = 2000
    """Most definitions of a kind; the rest is left out."""
    start_timeout: Annotated[Duration, Field(gt=0)] = 20.0
    """Longest time for starting or reaching the server and listing what it has."""
    start_patience: Duration = 3.0
    """How long the gateway's start waits for that, where nothing is known from an earlier run."""
    refresh: Annotated[Duration, Field(gt=0)] = 300.0
    """How often its lists are read again, where it neither tells of changes nor says how long they hold."""
    reconnect_delay: Annotated[Duration, Field(gt=0)] = 1.0
    """Upper bound of the first pause before it is started or reached again; it doubles each time (full jitter)."""
    max_reconnect_delay: Annotated[Duration, Field(gt=0)] = 60.0
    """...but not beyond this."""
    stop_timeout: Duration = 2.0
    """How long a command may take to end by itself once its input is closed, and again after SIGTERM."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if (self.command is None) == (self.url is None):
            found = "both" if self.command is not None else "neither"
            raise expected("either `command` (stdio) or `url` (streamable HTTP)", found=found)
        for key in self.pins:
            if not key.startswith(_PINNED):
                raise expected(f"pins whose keys begin with {', '.join(_PINNED)}", found=f'"{key}"')
        return self

    def prefix_of(self, name: str) -> str:
        """What stands in front of the names of an upstream that is called `name`."""
        return f"{name}_" if self.prefix is None else self.prefix

    def uri_prefix_of(self, name: str) -> str:
        """What stands in front of the URIs of an upstream that is called `name`, so that they lead back to it.

        Together with the URI's own scheme it is a scheme again (RFC 3986, section 3.1), which has no `_` and begins
        with a letter.
        """
        if self.uri_prefix is not None:
            return self.uri_prefix
        scheme = name.lower().replace("_", "-")
        return f"{scheme}+" if scheme[0].isalpha() else f"x-{scheme}+"
