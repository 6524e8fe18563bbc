"""Which definitions of MCP servers are listed here, under which names; what shadows another is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from gateway.catalogue.listing import Listing
from gateway.errors import ToolError, UnknownPrompt, UnknownResource
from gateway.pipeline.glob import Glob
from gateway.pipeline.model import Policy
from gateway.printable import printable
from gateway.profile.upstreams.mcp import McpUpstream, Redefinition, ToolRedefinition
from gateway.upstream.mcp.model import KINDS, Json, own_name
from gateway.upstream.mcp.pins import digest, set_aside_message

if TYPE_CHECKING:
    from gateway.upstream.mcp.server import McpServer

log = structlog.get_logger(__name__)

_AS_IS = ToolRedefinition()
_PREFIX = {"resources": "uri_prefix", "templates": "uri_prefix"}


@dataclass(frozen=True, slots=True)
class Strategies:
    """What the profile's strategies say, by name."""

    policies: Mapping[str, Policy] = field(default_factory=dict)
    directives: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Federated:
    """One definition of a server, as it is listed here."""

    server: McpServer
    own: str
    """What the server calls it: a name, a URI or a URI template."""
    name: str
    """What it is called here."""
    definition: Json
    """As clients see it."""
    hash: str
    """Of what was accepted."""
    read_only: bool = False
    policy: Policy | None = None
    """How its answers are cached; None where they are not."""
    directives: Collection[str] = ()
    """What a call may ask of the cache."""


class Federation:
    """The definitions of all servers under one set of names, made anew whenever a server's have changed."""

    def __init__(self, servers: Sequence[McpServer] = (), strategies: Strategies | None = None) -> None:
        self.servers = tuple(servers)
        self._strategies = strategies or Strategies()
        self._filters = {server.name: _Filter(server.section) for server in servers}
        prefixes = [(each.section.uri_prefix_of(each.name), each) for each in servers if _takes(each, "resources")]
        self._by_prefix = sorted(prefixes, key=lambda pair: -len(pair[0]))
        """Whose URIs begin how, the longest first: one server's may have nothing in front of them."""
        self._by_kind: dict[str, dict[str, Federated]] = {kind: {} for kind in KINDS}
        self._aside: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
        self._refused: set[tuple[str, str, str]] = set()
        self.version = 0
        """Raised whenever the definitions may have changed."""

    def rebuild(self, declared: Mapping[str, Collection[str]]) -> None:
        """Take over what the servers' definitions are now; `declared` are the profile's own names and URIs."""
        by_kind: dict[str, dict[str, Federated]] = {kind: {} for kind in KINDS}
        aside: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
        refused: set[tuple[str, str, str]] = set()
        for server in self.servers:
            for kind in KINDS:
                taken = {*by_kind[kind], *declared.get(kind, ())}
                for each in self._of(server, kind):
                    if each.name in taken:
                        refused.add((server.name, kind, each.own))
                        self._refuse(server.name, kind, each)
                        continue
                    taken.add(each.name)
                    by_kind[kind][each.name] = each
                for own in server.known.pins.set_aside(kind):
                    aside[kind].setdefault(self._name(server, kind, own), set_aside_message(server.name, kind, own))
        self._by_kind, self._aside, self._refused = by_kind, aside, refused
        self.version += 1

    @property
    def tools(self) -> Mapping[str, Federated]:
        """The tools, by the names that they have here."""
        return self._by_kind["tools"]

    def listing(self, kind: str) -> Listing:
        """What is listed of a kind, in the order of the profile's upstreams and then of each server."""
        having = [server for server in self.servers if _takes(server, kind)]
        return Listing(
            tuple(each.definition for each in self._by_kind[kind].values()),
            min((server.lists_hold for server in having), default=float("inf")),
            any(server.known.private for server in having),
        )

    def tool(self, name: str) -> Federated | None:
        """The tool of a name; raises ToolError for one that is set aside."""
        return self._found("tools", name)

    def prompt(self, name: str) -> Federated:
        """The prompt of a name; raises UnknownPrompt, and ToolError for one that is set aside."""
        found = self._found("prompts", name)
        if found is None:
            raise UnknownPrompt(name)
        return found

    def template(self, uri: str) -> Federated:
        """The template that is listed as `uri`; raises UnknownResource, and ToolError for one that is set aside."""
        found = self._found("templates", uri)
        if found is None:
            raise UnknownResource(uri)
        return found

    def resource(self, uri: str) -> tuple[McpServer, str]:
        """The server of a resource and its URI there; raises UnknownResource, and ToolError for one that is set aside.

        It need not be listed: most that a template or a tool's answer leads to are not.
        """
        self._found("resources", uri)
        prefix, server = next((each for each in self._by_prefix if uri.startswith(each[0])), ("", None))
        own = uri.removeprefix(prefix)
        if server is None or not self._filters[server.name].takes(own):
            raise UnknownResource(uri)
        return server, own

    def policy_of(self, server: McpServer) -> Policy | None:
        """How the resources of a server are cached that do not say so themselves."""
        strategy = server.section.strategy
        return None if strategy is None else self._strategies.policies[strategy]

    def _found(self, kind: str, name: str) -> Federated | None:
        found = self._by_kind[kind].get(name)
        if found is None and name in self._aside[kind]:
            raise ToolError(self._aside[kind][name])
        return found

    def _of(self, server: McpServer, kind: str) -> Iterator[Federated]:
        """What a server has of a kind and the profile takes over."""
        if not _takes(server, kind):
            return
        for definition in server.live.of(kind):
            own = own_name(kind, definition)
            if not self._filters[server.name].takes(own):
                continue
            if kind == "tools":
                if (definition.get("execution") or {}).get("taskSupport") == "required":
                    continue  # it can only be called as a task, and those end with the gateway's request
                yield self._tool(server, own, definition)
            else:
                name = self._name(server, kind, own)
                about = _redefinition(server.section, kind, own)
                yield Federated(
                    server, own, name, _shown(kind, definition, name, about, server), digest(kind, definition)
                )

    def _tool(self, server: McpServer, own: str, definition: Json) -> Federated:
        about = server.section.tools.get(own, _AS_IS)
        hints = definition.get("annotations") or {}
        read_only = bool(hints.get("readOnlyHint", False)) if about.read_only is None else about.read_only
        strategy = about.strategy or server.section.strategy
        name = self._name(server, "tools", own)
        shown = _shown("tools", definition, name, about, server)
        shown.pop("execution", None)
        if about.read_only is not None:
            shown["annotations"] = {**hints, "readOnlyHint": read_only}
        return Federated(
            server,
            own,
            name,
            shown,
            digest("tools", definition),
            read_only,
            self._strategies.policies[strategy] if read_only and strategy is not None else None,
            self._strategies.directives[strategy] if strategy is not None else (),
        )

    def _name(self, server: McpServer, kind: str, own: str) -> str:
        if kind in ("resources", "templates"):
            return server.section.uri_prefix_of(server.name) + own
        about = _redefinition(server.section, kind, own)
        return about.name if about.name is not None else server.section.prefix_of(server.name) + own

    def _refuse(self, server: str, kind: str, each: Federated) -> None:
        if (server, kind, each.own) in self._refused:
            return  # told already
        log.warning(
            "a federated name is taken already and is left out",
            upstream=server,
            definition=f"{kind}/{printable(each.own)}",
            name=printable(each.name),
            remedy=f"give it another name, or another upstreams.{server}.{_PREFIX.get(kind, 'prefix')}",
        )


class _Filter:
    """`include` and `exclude`."""

    def __init__(self, section: McpUpstream) -> None:
        self._include = [Glob(pattern) for pattern in section.include]
        self._exclude = [Glob(pattern) for pattern in section.exclude]

    def takes(self, own: str) -> bool:
        """Whether a definition of this name is taken over."""
        return any(each.matches(own) for each in self._include) and not any(each.matches(own) for each in self._exclude)


def identity(section: McpUpstream) -> str:
    """A short hash of what decides whom a request reaches."""
    where = repr((section.command, section.cwd, section.url))
    return hashlib.blake2b(where.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _takes(server: McpServer, kind: str) -> bool:
    return ("resources" if kind == "templates" else kind) in server.section.federate


def _redefinition(section: McpUpstream, kind: str, own: str) -> Redefinition:
    tables: dict[str, Mapping[str, Redefinition]] = {
        "tools": section.tools,
        "prompts": section.prompts,
        "resources": section.resources,
        "templates": section.resources,
    }
    return tables[kind].get(own, _AS_IS)


def _shown(kind: str, definition: Json, name: str, about: Redefinition, server: McpServer) -> Json:
    """The definition as it is listed here."""
    shown = {**definition}
    if kind in ("resources", "templates"):
        shown["uri" if kind == "resources" else "uriTemplate"] = name
        shown["name"] = about.name or server.section.prefix_of(server.name) + definition["name"]
    else:
        shown["name"] = name
    if about.title is not None:
        shown["title"] = about.title
    if about.description is not None:
        shown["description"] = about.description
    return shown
