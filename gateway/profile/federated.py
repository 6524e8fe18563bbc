"""MCP servers that are federated: names that lead nowhere or clash, and settings that work against each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from gateway.profile.faults import Contradiction, Finding, did_you_mean, listed, shown
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.upstreams.mcp import McpUpstream

_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def servers(profile: Profile) -> dict[str, McpUpstream]:
    """The upstreams that are MCP servers, by name."""
    return {name: each for name, each in profile.upstreams.items() if isinstance(each, McpUpstream)}


def may_be_federated(name: str, profile: Profile) -> bool:
    """Whether a tool of this name could come from an MCP server: only the server itself knows."""
    return any(
        name.startswith(server.prefix_of(upstream)) or name in {each.name for each in server.tools.values()}
        for upstream, server in servers(profile).items()
    )


def federation_faults(profile: Profile, strategies: Collection[str]) -> Iterator[Finding]:
    """Strategies that are not declared, names that are taken twice, and variables that no environment can hold."""
    taken: dict[str, str] = {name: f"tools.{name}" for name in profile.tools}
    prompts: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for name, server in servers(profile).items():
        path: KeyPath = ("upstreams", name)
        yield from _uris(path, name, server, prefixes)
        yield from _strategy((*path, "strategy"), server.strategy, strategies)
        for own, tool in server.tools.items():
            at = (*path, "tools", own)
            yield from _strategy((*at, "strategy"), tool.strategy, strategies)
            yield from _taken((*at, "name"), tool.name, taken)
        for own, prompt in server.prompts.items():
            yield from _taken((*path, "prompts", own, "name"), prompt.name, prompts)
        for variable, value in server.env.items():
            if not _VARIABLE.fullmatch(variable):
                yield Finding(
                    (*path, "env", variable), "the name of an environment variable", shown(variable), at="key"
                )
            elif "\0" in value:
                yield Finding((*path, "env", variable), "a value without a NUL character")
        for index, argument in enumerate(server.command or ()):
            if "\0" in argument:
                yield Finding((*path, "command", index), "an argument without a NUL character")


def federation_contradictions(name: str, server: McpUpstream) -> Iterator[Contradiction]:
    """Keys that mean nothing beside others."""
    path: KeyPath = ("upstreams", name)
    idle = ("env", "cwd", "stop_timeout") if server.url is not None else ("headers", "private_addresses")
    other = "url" if server.url is not None else "command"
    for key in (key for key in idle if key in server.model_fields_set and getattr(server, key)):
        if key == "private_addresses":
            continue  # of [upstream_defaults], perhaps
        problem = f"{key} means nothing to a server that is reached by {other}"
        yield Contradiction(((*path, key), (*path, other)), problem, "remove it")
    if not server.federate:
        yield Contradiction(((*path, "federate"),), "nothing is federated", 'name "tools", "resources" or "prompts"')
    if server.trust == "any" and server.pins:
        yield Contradiction(
            ((*path, "trust"), (*path, "pins")),
            "pins hold, and any other definition is live however it changes",
            'trust = "first-use" holds the others to what they were, "declared" leaves them out',
        )
    if server.trust == "declared" and not server.pins:
        problem = "only definitions that pins names are live, and it names none"
        yield Contradiction(((*path, "trust"), (*path, "pins")), problem, "take the hashes from `gateway pins`")
    if server.reconnect_delay > server.max_reconnect_delay:
        keys = ((*path, "reconnect_delay"), (*path, "max_reconnect_delay"))
        yield Contradiction(keys, "the first pause may be longer than the longest", "lower reconnect_delay")
    if server.url is not None and urlsplit(server.url).scheme == "http" and server.headers:
        host = urlsplit(server.url).hostname or ""
        if host != "localhost" and not host.startswith("127.") and host != "::1":
            keys = ((*path, "headers"), (*path, "url"))
            yield Contradiction(keys, "these headers cross the network unencrypted", "use an https:// url")


def _strategy(path: KeyPath, name: str | None, known: Collection[str]) -> Iterator[Finding]:
    if name is not None and name not in known:
        near = did_you_mean(name, known)
        yield Finding(path, f"one of [strategies]: {listed(sorted(known))}", suggestion=shown(near) if near else None)


def _uris(path: KeyPath, name: str, server: McpUpstream, prefixes: dict[str, str]) -> Iterator[Finding]:
    prefix = server.uri_prefix_of(name)
    clash = prefixes.setdefault(prefix, name)
    if clash == name:
        return
    both = f"both begin with {prefix}" if prefix else "neither has anything in front of them"
    if server.uri_prefix is None:
        yield Finding(path, f"a name whose URIs are not those of {clash} ({both})", shown(name), at="key")
    else:
        yield Finding((*path, "uri_prefix"), f"a prefix whose URIs are not those of {clash} ({both})", shown(prefix))


def _taken(path: KeyPath, name: str | None, taken: dict[str, str]) -> Iterator[Finding]:
    if name is None:
        return
    by = taken.setdefault(name, ".".join(map(str, path)))
    if by != ".".join(map(str, path)):
        yield Finding(path, f"a name that nothing else has, and {by} has this one")
