"""The points that the profile alone decides. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from gateway.profile.addresses import host
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.units import format_duration, format_ratio, format_size
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.policies import Politeness
from gateway.watch.alerts.numbers import watched
from gateway.watch.preflight.model import Point, failed, passed, warned

Check = Callable[[Profile], Iterator[Point]]

_IMPORTANT_ALERTS = ("response_time", "error_rate", "hit_rate", "memory")
_BEARER = 'set server.authentication = "bearer"'
_PROCESS = 100_000_000
"""Bytes that the process needs beside its memory tier."""
_SECRET_WORDS = ("authorization", "cookie", "token", "api-key", "apikey", "secret", "passw")


def cache(profile: Profile) -> Iterator[Point]:
    """Whether there are tiers, and strategies that let them help."""
    tiers = profile.cache
    if tiers.memory.enabled and tiers.disk.enabled:
        found = f"memory of {format_size(tiers.memory.max_size)}, disk of {format_size(tiers.disk.max_size)}"
        yield passed("cache", found, "cache")
    elif tiers.memory.enabled or tiers.disk.enabled:
        only, missing = ("memory", "disk") if tiers.memory.enabled else ("disk", "memory")
        yield warned("cache", f"only the {only} tier is on", f"turn cache.{missing} on", "cache", missing, "enabled")
    else:
        yield failed("cache", "both tiers are off", "turn cache.memory and cache.disk on", "cache", "memory", "enabled")


def memory_limits(profile: Profile) -> Iterator[Point]:
    """Whether the process gives up entries well before something else ends it."""
    monitor, tier = profile.monitors.memory, profile.cache.memory
    if not tier.enabled:
        yield passed("memory limits", "there is no memory tier", "cache", "memory", "enabled")
    elif monitor.warning - tier.max_size >= _PROCESS:
        found = f"entries are given up from {format_size(monitor.warning)} on, beside a tier of "
        yield passed("memory limits", found + format_size(tier.max_size), "monitors", "memory", "warning")
    else:
        yield failed(
            "memory limits",
            f"the memory tier may take {format_size(tier.max_size)}, and from {format_size(monitor.warning)} on "
            "entries are given up: it would never be full",
            "let monitors.memory.warning be at least 100MB above cache.memory.max_size",
            *("monitors", "memory", "warning"),
        )


def pools(profile: Profile) -> Iterator[Point]:
    """Whether requests to upstreams are bounded by what the pool carries."""
    for name, section in profile.upstreams.items():
        if isinstance(section, McpUpstream) and section.command is not None:
            continue  # a command has no connections
        if isinstance(section, Politeness) and section.max_concurrent > section.pool.max_connections * 10:
            yield warned(
                "pools",
                f"{name}: {section.max_concurrent} requests at once over {section.pool.max_connections} connections",
                f"raise upstreams.{name}.pool.max_connections, or lower max_concurrent",
                *("upstreams", name, "pool", "max_connections"),
            )
            return
    pool = profile.upstream_defaults.pool
    found = (
        f"{pool.max_connections} connections a host, {pool.max_keepalive} kept for {format_duration(pool.keepalive)}"
    )
    yield passed("pools", found, "upstream_defaults", "pool")


def compression(profile: Profile) -> Iterator[Point]:
    """Whether the disk tier compresses what is worth it."""
    disk = profile.cache.disk
    if not disk.enabled:
        yield passed("compression", "there is no disk tier", "cache", "disk", "enabled")
    elif disk.compression_threshold > 100_000:
        yield warned(
            "compression",
            f"only entries above {format_size(disk.compression_threshold)} are compressed",
            "most entries are smaller: 1KB is a good threshold",
            *("cache", "disk", "compression_threshold"),
        )
    else:
        found = f"entries above {format_size(disk.compression_threshold)} where that saves "
        key = ("cache", "disk", "compression_threshold")
        yield passed("compression", found + format_ratio(disk.compression_gain), *key)


def batching(profile: Profile) -> Iterator[Point]:
    """Whether what can go together does."""
    http = {name: each for name, each in profile.upstreams.items() if isinstance(each, HttpUpstream)}
    batched = [name for name, each in http.items() if each.batch is not None]
    for name in batched:
        batch = http[name].batch
        if batch is not None and batch.window > 0.25:
            yield warned(
                "batching",
                f"{name}: each request waits {format_duration(batch.window)} for others",
                "50ms is what callers hardly notice",
                *("upstreams", name, "batch", "window"),
            )
            return
    found = (
        f"batches: {', '.join(batched)}" if batched else "no upstream declares batches; equal requests are one anyway"
    )
    yield passed("batching", found, "upstreams")


def monitoring(profile: Profile) -> Iterator[Point]:
    """Whether somebody can look."""
    if not profile.admin.enabled:
        yield failed("monitoring", "the admin site is off: no metrics, no health", "turn it on", "admin", "enabled")
    else:
        found = f"/metrics, /healthz and the dashboard at {', '.join(profile.admin.bind)}"
        yield passed("monitoring", found, "admin", "bind")


def alerts(profile: Profile) -> Iterator[Point]:
    """Whether somebody is told."""
    raised = watched(profile.alerts)
    missing = [name for name in _IMPORTANT_ALERTS if name not in raised]
    told = profile.notifications
    if missing:
        remedy = f"set alerts.{missing[0]}.warning"
        yield failed("alerts", f"nothing is raised for {', '.join(missing)}", remedy, "alerts", missing[0])
    elif told.webhook is None and told.command is None and profile.opentelemetry.endpoint is None:
        found = f"{len(raised)} alerts, which only the log, /metrics and the dashboard tell"
        yield warned("alerts", found, "set notifications.webhook or notifications.command", "notifications")
    else:
        yield passed("alerts", f"{len(raised)} alerts", "alerts")


def error_handling(profile: Profile) -> Iterator[Point]:
    """Whether an upstream that fails is survived."""
    strict = [name for name, each in profile.strategies.items() if each.stale_if_error == 0 and _used(profile, name)]
    asked = {name: each for name, each in profile.upstreams.items() if isinstance(each, Politeness)}
    unbroken = [name for name, each in asked.items() if not each.breaker.enabled]
    stubborn = [name for name, each in asked.items() if each.retry_budget > 0.5]
    if unbroken:
        found = f"{', '.join(unbroken)}: no breaker, so an outage is made worse"
        yield failed("error handling", found, "turn it on", "upstreams", unbroken[0], "breaker", "enabled")
    elif stubborn:
        found = f"{', '.join(stubborn)}: retries beyond half of the requests make an outage worse"
        yield failed("error handling", found, "20% is enough", "upstreams", stubborn[0], "retry_budget")
    elif strict:
        found = f"under {', '.join(strict)} nothing stands in for an upstream that fails"
        remedy = f'set strategies.{strict[0]}.stale_if_error = "24h"'
        yield warned("error handling", found, remedy, "strategies", strict[0], "stale_if_error")
    else:
        found = "retries within a budget, breakers, and old answers that stand in"
        yield passed("error handling", found, "upstream_defaults", "breaker")


def logging(profile: Profile) -> Iterator[Point]:
    """Whether the log suits a server."""
    section = profile.logging
    if section.level == "debug":
        yield warned("logging", "every detail is logged", 'level = "info" is enough', "logging", "level")
    elif section.format == "console":
        yield warned("logging", "lines are made for people", 'format = "json" can be searched', "logging", "format")
    else:
        yield passed("logging", f"{section.format}, from {section.level} on", "logging", "format")


def secrets(profile: Profile, written: Mapping[KeyPath, str]) -> Iterator[Point]:
    """Whether what looks like a credential comes from one: not from the profile, and not from the environment."""
    for path in _sensitive(profile):
        if "${credential:" not in written.get(path, ""):
            found = f"what looks like a credential comes from {'the environment' if path in written else 'the profile'}"
            yield failed("secrets", found, 'write "${credential:NAME}" there', *path)
            return
    yield passed("secrets", "whatever looks like one is a credential", "upstreams")


def authentication(profile: Profile) -> Iterator[Point]:
    """Whether strangers are kept out."""
    public = [bind for bind in profile.server.bind if not host(bind).is_loopback]
    admin = [bind for bind in profile.admin.bind if profile.admin.enabled and not host(bind).is_loopback]
    if admin:
        found = f"whoever reaches {admin[0]} can purge the cache"
        yield failed("authentication", found, "bind the admin site to 127.0.0.1", "admin", "bind")
    elif profile.server.authentication == "bearer":
        yield _of_clients(profile, public)
    elif profile.clients:
        found = "there are clients, and nobody is asked for a token"
        yield failed("authentication", found, _BEARER, "server", "authentication")
    elif public:
        found = f"whoever reaches {public[0]} is answered: nobody is asked for a token"
        remedy = f"{_BEARER}, or let a proxy in front ask, and bind to 127.0.0.1"
        yield warned("authentication", found, remedy, "server", "bind")
    else:
        yield passed(
            "authentication", "only this machine reaches it; a proxy in front decides who else", "server", "bind"
        )


def _of_clients(profile: Profile, public: Sequence[str]) -> Point:
    """Whether clients have tokens, and those stay theirs."""
    if not profile.clients:
        remedy = 'add one: [clients.NAME] with token = "${credential:NAME}"'
        return failed("authentication", "there are no clients, so nobody may ask", remedy, "server", "authentication")
    if public:
        found = f"tokens cross the network to {public[0]} unencrypted"
        remedy = "let a proxy in front speak TLS, and bind to 127.0.0.1"
        return warned("authentication", found, remedy, "server", "bind")
    found = f"clients that may ask, by their tokens: {len(profile.clients)}"
    return passed("authentication", found, "server", "authentication")


CHECKS: tuple[Check, ...] = (
    cache,
    memory_limits,
    pools,
    compression,
    batching,
    monitoring,
    alerts,
    error_handling,
    logging,
    authentication,
)
"""Those that need nothing but the profile."""


def _sensitive(profile: Profile) -> Iterator[tuple[str, ...]]:
    """The headers and variables whose names say that they hold a secret."""
    tables: dict[tuple[str, ...], Mapping[str, str]] = {("opentelemetry", "headers"): profile.opentelemetry.headers}
    if profile.notifications.webhook is not None:
        tables["notifications", "webhook", "headers"] = profile.notifications.webhook.headers
    for name, upstream in profile.upstreams.items():
        if isinstance(upstream, HttpUpstream | McpUpstream):
            tables["upstreams", name, "headers"] = upstream.headers
        if isinstance(upstream, McpUpstream):
            tables["upstreams", name, "env"] = upstream.env
    for path, table in tables.items():
        for key in table:
            if any(word in key.lower().replace("_", "-") for word in _SECRET_WORDS):
                yield (*path, key)


def _used(profile: Profile, strategy: str) -> bool:
    return any(tool.strategy == strategy and tool.annotations.read_only for tool in profile.tools.values())
