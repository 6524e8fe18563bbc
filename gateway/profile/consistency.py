"""What a profile may say and its author hardly means: settings that work against each other."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.addresses import host
from gateway.profile.budget import budget_contradictions
from gateway.profile.client_faults import client_contradictions
from gateway.profile.faults import Contradiction, did_you_mean
from gateway.profile.federated import may_be_federated
from gateway.profile.politeness import upstream_contradictions
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.references import fetches
from gateway.profile.scaling_consistency import scaling_contradictions
from gateway.profile.templates import fields
from gateway.profile.tools import Tool
from gateway.profile.units import format_duration, format_size
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.policies import Politeness


def contradictions(profile: Profile) -> tuple[Contradiction, ...]:
    """Every contradiction in a valid profile, in the order of its sections."""
    return (
        *_listeners(profile),
        *_workers(profile),
        *client_contradictions(profile),
        *_tiers(profile),
        *_strategies(profile),
        *upstream_contradictions(profile),
        *_tools(profile),
        *budget_contradictions(profile),
        *_warming(profile),
        *_memory(profile),
        *scaling_contradictions(profile),
    )


def _listeners(profile: Profile) -> Iterator[Contradiction]:
    server, admin = profile.server, profile.admin
    if any(host(bind).is_unspecified for bind in server.bind) and not server.allowed_hosts:
        yield Contradiction(
            (("server", "allowed_hosts"), ("server", "bind")),
            "it listens on every interface and answers requests to localhost only",
            'name the hosts that clients ask for: allowed_hosts = ["gateway.example.org"]',
        )
    for index, bind in enumerate(admin.bind):
        if admin.enabled and not host(bind).is_loopback:
            yield Contradiction(
                (("admin", "bind", index), ("admin", "bind")),
                "whoever reaches this address can purge the cache",
                "bind it to 127.0.0.1 and let a proxy ask who it is",
            )
    if server.drain_delay and not admin.enabled:
        yield Contradiction(
            (("server", "drain_delay"), ("admin", "enabled")),
            "a stop waits for load balancers to read /readyz, and there is no admin site that has it",
            "set admin.enabled = true, or remove drain_delay",
        )


def _workers(profile: Profile) -> Iterator[Contradiction]:
    server = profile.server
    if server.workers > 1 and server.sessions:
        yield Contradiction(
            (("server", "sessions"), ("server", "workers")),
            "a session is known to one worker, and its requests may reach another one, to which it does not exist",
            "set workers = 1, or sessions = false",
        )
    small = [name for name, each in profile.upstreams.items() if _max_concurrent(each) < server.workers]
    for name in small:
        yield Contradiction(
            (("upstreams", name, "max_concurrent"), ("server", "workers")),
            f"each of {server.workers} workers has one request under way at least, so that there may be more",
            f"raise max_concurrent to {server.workers}, or lower workers",
        )


def _max_concurrent(upstream: Upstream) -> float:
    if isinstance(upstream, Politeness) and not isinstance(upstream, McpUpstream):
        return upstream.max_concurrent
    return float("inf")


def _tiers(profile: Profile) -> Iterator[Contradiction]:
    memory, disk = profile.cache.memory, profile.cache.disk
    if not memory.enabled and not disk.enabled and not profile.cache.shared.enabled:
        yield Contradiction(
            (("cache", "disk", "enabled"), ("cache", "memory", "enabled")),
            "both tiers are off, so every call asks the upstream",
            "turn at least one of cache.memory and cache.disk on",
        )
    if memory.enabled and disk.enabled and memory.max_size > disk.max_size:
        yield Contradiction(
            (("cache", "disk", "max_size"), ("cache", "memory", "max_size")),
            f"the disk tier ({format_size(disk.max_size)}) is smaller than memory ({format_size(memory.max_size)})",
            "what is evicted from the disk is lost at a restart: make the disk the larger one",
        )
    for name, tier in (("memory", memory), ("disk", disk)):
        if tier.enabled and tier.max_size == 0:
            path = ("cache", name, "max_size")
            yield Contradiction((path,), "the tier has room for nothing", f"cache.{name}.enabled = false says so")


def _strategies(profile: Profile) -> Iterator[Contradiction]:
    memory, disk, shared = profile.cache.memory, profile.cache.disk, profile.cache.shared
    on = {"memory": memory.enabled, "disk": disk.enabled, "shared": shared.enabled}
    for name, strategy in profile.strategies.items():
        if any(on.values()) and not any(on[tier] for tier in strategy.tiers):
            keys: tuple[KeyPath, ...] = (("strategies", name, "tiers"),)
            named = " or ".join(f'"{tier}"' for tier, used in on.items() if used)
            yield Contradiction(keys, "no tier that is in use may hold the answers", f"name {named}")
    last, tier = ("disk", disk) if disk.enabled else ("memory", memory)
    if not tier.enabled:
        return
    for name, strategy in profile.strategies.items():
        if strategy.ttl > tier.ttl:
            mine, limit = format_duration(strategy.ttl), format_duration(tier.ttl)
            yield Contradiction(
                (("strategies", name, "ttl"), ("cache", last, "ttl")),
                f"{mine} is more than cache.{last}.ttl ({limit}), so answers are fresh for {limit} only",
                f"shorten it to {limit}, or raise cache.{last}.ttl to {mine}",
            )


def _tools(profile: Profile) -> Iterator[Contradiction]:
    for name, tool in profile.tools.items():
        path: KeyPath = ("tools", name)
        yield from _nearest((*path, "result"), tool)
        if tool.annotations.read_only and tool.annotations.destructive:
            keys = ((*path, "annotations", "destructive"), (*path, "annotations", "read_only"))
            yield Contradiction(keys, "what only reads destroys nothing", "if it may delete, set read_only = false")
        if tool.annotations.read_only and tool.invalidates:
            yield Contradiction(
                ((*path, "invalidates"), (*path, "annotations", "read_only")),
                "what only reads makes nothing untrue, and its answers come from the cache",
                "if it changes something, set annotations.read_only = false",
            )
        for at, fetch in fetches(path, tool):
            if tool.annotations.read_only and fetch.method in ("PUT", "PATCH", "DELETE"):
                yield Contradiction(
                    ((*at, "method"), (*path, "annotations", "read_only")),
                    f"{fetch.method} changes something, and the tool says that it only reads",
                    "set annotations.read_only = false, or the request is not sent for every call",
                )
        if tool.result.format == "text" and tool.output is not None:
            yield Contradiction(
                ((*path, "output"), (*path, "result", "format")),
                'structured content is declared, and format = "text" gives none',
                'remove output, or use format = "json"',
            )


def _nearest(path: KeyPath, tool: Tool) -> Iterator[Contradiction]:
    missing = tool.result.missing
    if tool.result.nearest is not None and (missing is None or "nearest" not in fields(missing)):
        yield Contradiction(
            ((*path, "nearest"),),
            "the nearest names are looked for and never told",
            'put {nearest} into missing: "No {name}. Did you mean {nearest}?"',
        )


def _warming(profile: Profile) -> Iterator[Contradiction]:
    warm = profile.warm
    if profile.server.ready_after == "warm" and not warm.on_start:
        yield Contradiction(
            (("server", "ready_after"), ("warm", "on_start")),
            "nothing is warmed on start, so there is nothing to wait for",
            "set warm.on_start = true",
        )
    if warm.on_start and not warm.calls:
        yield Contradiction((("warm", "on_start"),), "there are no calls to make", "add a [[warm.calls]]")
    for index, call in enumerate(warm.calls):
        path: KeyPath = ("warm", "calls", index)
        tool = profile.tools.get(call.tool)
        if tool is None and may_be_federated(call.tool, profile):
            continue  # what it takes, only its server knows
        if tool is None:
            near = did_you_mean(call.tool, profile.tools)
            remedy = f"did you mean {near}?" if near else "declare the tool, or remove the call"
            yield Contradiction(((*path, "tool"),), f"there is no tool {call.tool}", remedy)
            continue
        if not tool.annotations.read_only:
            problem = f"{call.tool} does more than read, so calling it ahead warms nothing"
            yield Contradiction(((*path, "tool"),), problem, "remove the call")
        declared, given = tool.arguments, {**call.arguments, **call.each}
        for name in sorted(given.keys() - declared):
            key = (*path, "each" if name in call.each else "arguments", name)
            near = did_you_mean(name, declared)
            remedy = f"did you mean {near}?" if near else "remove it: the call would be refused"
            yield Contradiction((key,), f"{call.tool} takes no argument {name}", remedy)
        required = tool.input.get("required", [])
        for name in (name for name in required if name not in given):
            yield Contradiction((path,), f"{call.tool} requires the argument {name}", "add it to arguments or each")
        for name in sorted(call.arguments.keys() & call.each.keys()):
            problem = f"the argument {name} is in arguments and in each"
            yield Contradiction(((*path, "arguments", name),), problem, "each wins: remove it here")


def _memory(profile: Profile) -> Iterator[Contradiction]:
    tier, monitor, alert = profile.cache.memory, profile.monitors.memory, profile.alerts.memory
    if not tier.enabled:
        return
    room = format_size(tier.max_size)
    size: KeyPath = ("cache", "memory", "max_size")
    if tier.max_size >= monitor.critical:
        critical = format_size(monitor.critical)
        yield Contradiction(
            (size, ("monitors", "memory", "critical")),
            f"the memory tier may take {room}, and at monitors.memory.critical ({critical}) it is emptied",
            "raise monitors.memory well above the tier: the process needs room of its own",
        )
    elif tier.max_size >= monitor.warning:
        warning = format_size(monitor.warning)
        yield Contradiction(
            (size, ("monitors", "memory", "warning")),
            f"the memory tier may take {room}, and at monitors.memory.warning ({warning}) entries are given up",
            "raise monitors.memory well above the tier: the process needs room of its own",
        )
    if alert.warning is not None and tier.max_size >= alert.warning:
        yield Contradiction(
            (("alerts", "memory", "warning"), size),
            f"a full memory tier ({room}) is enough to raise this alert",
            "raise it well above the tier: the process needs room of its own",
        )
