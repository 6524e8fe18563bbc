"""How upstreams are asked for documents, where that works against itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.profile.faults import Contradiction
from gateway.profile.federated import federation_contradictions
from gateway.profile.fetch import Fetch
from gateway.profile.http_consistency import http_contradictions
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.references import fetches
from gateway.profile.searches import search_contradictions, searched
from gateway.profile.units import format_duration, format_size
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.search import SearchUpstream


def upstream_contradictions(profile: Profile) -> Iterator[Contradiction]:
    """Every contradiction within an upstream, and the upstreams that nothing reads."""
    requests: dict[str, list[Fetch]] = {name: [] for name in profile.upstreams}
    for tool in profile.tools.values():
        for _, fetch in fetches((), tool):
            requests.setdefault(fetch.upstream, []).append(fetch)
    read_by_a_search = searched(profile.upstreams)
    for name, upstream in profile.upstreams.items():
        path: KeyPath = ("upstreams", name)
        if isinstance(upstream, Politeness):
            yield from _patience(path, upstream)
            yield from _tries(path, upstream)
            yield from _breaker(path, upstream)
            yield from _connections(path, upstream)
        if isinstance(upstream, HttpUpstream):
            yield from _reach(path, upstream)
            yield from http_contradictions(path, upstream, requests[name])
        if isinstance(upstream, SearchUpstream):
            yield from search_contradictions(path, upstream, profile)
        if isinstance(upstream, NpmUpstream) and upstream.max_package_size > upstream.max_unpacked_size:
            keys = ((*path, "max_package_size"), (*path, "max_unpacked_size"))
            packed, unpacked = format_size(upstream.max_package_size), format_size(upstream.max_unpacked_size)
            problem = f"a package may have {packed} packed and only {unpacked} unpacked"
            yield Contradiction(keys, problem, "raise max_unpacked_size: a package grows when it is unpacked")
        if isinstance(upstream, McpUpstream):
            yield from federation_contradictions(name, upstream)
        elif not requests[name] and name not in read_by_a_search:
            yield Contradiction((path,), f"no tool reads from {name}", "remove it, or let a fetch name it")


def _patience(path: KeyPath, upstream: Politeness) -> Iterator[Contradiction]:
    """Full jitter doubles the bound of the pause with every try: together at most delay * (2 ** retries - 1)."""
    pauses, timeout = upstream.retry_delay * (2**upstream.retries - 1), upstream.timeout
    keys = ((*path, "retries"), (*path, "retry_delay"), (*path, "timeout"))
    if pauses >= timeout:
        yield Contradiction(
            keys,
            f"the pauses between {upstream.retries} retries may take {_about(pauses)}, and timeout is "
            f"{format_duration(timeout)} for all tries together",
            "fewer retries, a shorter retry_delay or a longer timeout",
        )


def _tries(path: KeyPath, upstream: Politeness) -> Iterator[Contradiction]:
    """Limits within `timeout` that only come after it, and a hedge that is never sent."""
    timeout = format_duration(upstream.timeout)
    for key, seconds, what in (
        ("try_timeout", upstream.try_timeout, "a try may take"),
        ("queue_timeout", upstream.queue_timeout, "a request may wait in the queue for"),
    ):
        if seconds is not None and seconds >= upstream.timeout:
            yield Contradiction(
                ((*path, key), (*path, "timeout")),
                f"{what} {format_duration(seconds)}, and timeout is {timeout} for all of it",
                f"shorten {key}, or leave it out",
            )
    hedge, longest = upstream.hedge, min(upstream.try_timeout or upstream.timeout, upstream.timeout)
    if hedge is not None and hedge.after >= longest:
        limit = "timeout" if longest == upstream.timeout else "try_timeout"
        yield Contradiction(
            ((*path, "hedge", "after"), (*path, limit)),
            f"a second request after {format_duration(hedge.after)} is never sent: "
            f"{limit} ends the first one after {format_duration(longest)}",
            "shorten hedge.after: a little more than most answers take",
        )
    if hedge is not None and upstream.max_concurrent == 1:
        yield Contradiction(
            ((*path, "hedge"), (*path, "max_concurrent")),
            "a second request is never sent: max_concurrent allows one at a time",
            "raise max_concurrent, or leave hedge out",
        )


def _breaker(path: KeyPath, upstream: Politeness) -> Iterator[Contradiction]:
    breaker, rate = upstream.breaker, upstream.rate_limit
    if not breaker.enabled:
        return
    if breaker.ejection > breaker.max_ejection:
        yield Contradiction(
            ((*path, "breaker", "ejection"), (*path, "breaker", "max_ejection")),
            f"the first ejection takes {format_duration(breaker.ejection)}, "
            f"and none more than {format_duration(breaker.max_ejection)}",
            "raise max_ejection",
        )
    sent = rate.max * (1 + breaker.window / rate.window)
    if sent < breaker.min_requests:
        yield Contradiction(
            ((*path, "breaker", "min_requests"), (*path, "rate_limit"), (*path, "breaker", "window")),
            f"failure_rate is never judged: rate_limit allows {sent:.0f} requests in its window of "
            f"{format_duration(breaker.window)}, and min_requests is {breaker.min_requests}",
            "lower min_requests, or lengthen the window",
        )


def _connections(path: KeyPath, upstream: Politeness) -> Iterator[Contradiction]:
    """Fewer connections than requests are fine, the others wait; more are never opened."""
    pool = upstream.pool
    if pool.max_connections > upstream.max_concurrent:
        yield Contradiction(
            ((*path, "max_concurrent"), (*path, "pool", "max_connections")),
            f"{upstream.max_concurrent} requests at once never need {pool.max_connections} connections",
            "lower pool.max_connections, or raise max_concurrent",
        )
    if pool.max_keepalive > pool.max_connections:
        yield Contradiction(
            ((*path, "pool", "max_keepalive"), (*path, "pool", "max_connections")),
            f"{pool.max_connections} connections never leave {pool.max_keepalive} idle ones",
            "keep at most max_connections",
        )


def _reach(path: KeyPath, upstream: HttpUpstream) -> Iterator[Contradiction]:
    parts = urlsplit(upstream.base_url)
    private = _is_private(parts.hostname or "")
    if private and not upstream.private_addresses:
        yield Contradiction(
            ((*path, "base_url"),),
            f"{parts.hostname} is a private address, and private addresses are refused",
            "private_addresses = true allows them for this upstream",
        )
    if parts.scheme == "http" and upstream.headers and not private:
        yield Contradiction(
            ((*path, "headers"), (*path, "base_url")),
            "these headers cross the network unencrypted",
            "use an https:// base_url",
        )


def _is_private(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return False


def _about(seconds: float) -> str:
    """A duration in its largest unit, rounded."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"
