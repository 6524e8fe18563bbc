"""What one of several workers makes of the profile: limits that are of all together, files of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.profile.alerts import Alerts, Notifications
from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile
from gateway.profile.scaling import Scaling
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.policies import Politeness, RateLimit
from gateway.profile.upstreams.search import SearchUpstream


def for_worker(loaded: Loaded, number: int, workers: int) -> Loaded:
    """`loaded` as the worker `number`, from 1 on, of so many has it.

    An upstream is asked by all workers together as often, and as much at once, as the profile allows. Tiers, and how
    often a client may ask, are of each worker. Each has files of its own; the first one has those that a gateway
    without workers has. Alerts are for the supervisor to raise, who knows of all.
    """
    profile = loaded.profile
    disk = profile.cache.disk.model_copy(update={"path": _own(profile.cache.disk.path, number)})
    changes: dict[str, Any] = {
        "cache": profile.cache.model_copy(update={"disk": disk}),
        "upstreams": {name: _shared_out(each, number, workers) for name, each in profile.upstreams.items()},
        "scaling": _scaled(profile.scaling, number, workers),
        "alerts": Alerts.unset(),
        "notifications": Notifications.unset(),
    }
    return replace(loaded, profile=profile.model_copy(update=changes))


def _own(path: str, number: int) -> str:
    """A file of this worker alone."""
    if number == 1:
        return path
    file = Path(path)
    return str(file.with_name(f"{file.stem}.worker-{number}{file.suffix}"))


def _shared_out(section: Any, number: int, workers: int) -> Any:
    """An upstream, with this worker's part of what is allowed."""
    if isinstance(section, SearchUpstream):
        folder = section.path if section.path is None or number == 1 else f"{section.path}/worker-{number}"
        return section.model_copy(update={"path": folder})
    if isinstance(section, McpUpstream) or not isinstance(section, Politeness):
        return section
    return section.model_copy(
        update={
            "max_concurrent": _part(section.max_concurrent, number, workers),
            "rate_limit": _rate(section.rate_limit, workers),
        }
    )


def _scaled(section: Scaling, number: int, workers: int) -> Scaling:
    """What is scaled, with this worker's part of what upstreams may be asked at once."""
    bounds = {name: getattr(section.pools, name) for name in ("min", "max")}
    parts = {name: _part(bound, number, workers) for name, bound in bounds.items() if bound is not None}
    return section.model_copy(update={"pools": section.pools.model_copy(update=parts)})


def _part(whole: int, number: int, workers: int) -> int:
    """The part of a number that one worker has; each has one at least."""
    return max(1, whole // workers + (number <= whole % workers))


def _rate(limit: RateLimit, workers: int) -> RateLimit:
    """A part of a rate, such that the parts are the whole: fewer in the same time, or as few in a longer one."""
    most = max(1, limit.max // workers)
    return limit.model_copy(update={"max": most, "window": limit.window * workers * most / limit.max})


def of_all(part: RateLimit, workers: int) -> RateLimit:
    """The rate of so many workers that have `part` each; no more at once than one of them may."""
    return part.model_copy(update={"window": part.window / workers})


def needs_restart_of_workers(before: Profile, after: Profile) -> list[str]:
    """The keys that differ and that decide what workers are given when they start."""
    keys = ("workers", "bind", "sockets", "socket_mode")
    found = [f"server.{key}" for key in keys if getattr(before.server, key) != getattr(after.server, key)]
    return [*found, *(["admin.bind"] if before.admin.bind != after.admin.bind else [])]
