"""The points that the machine and the network decide: reports, disk room, upstreams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import urlsplit

import orjson
import psutil
import trio

from gateway.catalogue.documents import Documents, Reading
from gateway.errors import GatewayError
from gateway.pipeline.model import Policy
from gateway.printable import printable
from gateway.profile.preflight import Preflight
from gateway.profile.profile import Profile
from gateway.profile.units import format_duration, format_size
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.files import FilesUpstream
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.profile.upstreams.search import SearchUpstream
from gateway.upstream.mcp.server import McpServer
from gateway.watch.preflight.model import Point, failed, passed, warned

if TYPE_CHECKING:
    from gateway.tiers.shared.tier import SharedTier

_NOW = Policy("preflight", ttl=1.0).at_most(0.0)
"""What was kept says nothing of whether an upstream can be reached."""


def report(section: Preflight, kind: str) -> Point:
    """The report of a load test ("load") or of a test for leaks ("soak"): there, of that kind, young, and good."""
    name = {"load": "load test", "soak": "leak test"}[kind]
    key = ("preflight", f"{kind}_report")
    place: str | None = getattr(section, key[1])
    remedy = f"run `gateway {kind} --report FILE` and name the file in {'.'.join(key)}"
    if place is None:
        return warned(name, "none is named", remedy, *key)
    try:
        about: Any = orjson.loads(Path(place).expanduser().read_bytes())
        finished, good = float(about["finished_at"]), about["passed"] is True
        if about["kind"] != kind:
            return failed(
                name, f"{place} is the report of something else ({printable(str(about['kind']))})", remedy, *key
            )
    except OSError as error:
        return failed(name, f"{place} can't be read: {error.strerror or error}", remedy, *key)
    except (ValueError, KeyError, TypeError):
        return failed(name, f"{place} is no report of this kind", remedy, *key)
    age = max(0.0, time.time() - finished)
    said = f"{printable(str(about.get('summary', '')), 300)} ({_about(age)} ago)".strip()
    if not good:
        return failed(name, f"it did not pass: {said}", "see what failed, and run it again", *key)
    if age > section.max_age:
        limit = format_duration(section.max_age)
        return warned(name, f"it passed, but is older than {limit}: {said}", "run it again", *key)
    return passed(name, said, *key)


def disk_room(profile: Profile) -> Point:
    """Whether the disk tier can become as large as it may."""
    disk, key = profile.cache.disk, ("cache", "disk", "max_size")
    if not disk.enabled:
        return passed("disk room", "there is no disk tier", "cache", "disk", "enabled")
    folder = disk.file.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = psutil.disk_usage(str(folder)).free
    except OSError as error:
        return failed("disk room", f"{folder} can't be used: {error.strerror or error}", "see cache.disk.path", *key)
    file = disk.file
    needed = disk.max_size + profile.preflight.disk_room - (file.stat().st_size if file.exists() else 0)
    found = f"{free / 1e9:.1f} GB are free in {folder}, the tier may take {format_size(disk.max_size)}"
    found += f" and {format_size(profile.preflight.disk_room)} are to stay free"
    if free < needed:
        return failed("disk room", found, "make room, or lower cache.disk.max_size", *key)
    return passed("disk room", found, *key)


def shared_tier(profile: Profile, tier: SharedTier | None) -> Point:
    """Whether the engine of the shared tier can be reached, and takes the gateway for who it is."""
    key = ("cache", "shared", "url")
    if tier is None:
        return passed("shared tier", "there is no shared tier", "cache", "shared", "enabled")
    if not tier.link.up:
        return failed("shared tier", f"out of reach: {tier.link.reason}", "start it, or correct cache.shared", *key)
    return passed("shared tier", f"connected to {profile.cache.shared.url}", *key)


async def upstreams(profile: Profile, documents: Documents, servers: Mapping[str, McpServer]) -> AsyncIterator[Point]:
    """Whether each upstream can be reached now; `servers` are the MCP servers, by name."""
    for name, section in profile.upstreams.items():
        key = ("upstreams", name)
        label = f"upstream {name}"
        patience = profile.preflight.patience
        try:
            with trio.fail_after(patience):
                found = await _reached(name, section, documents, servers)
        except trio.TooSlowError:
            yield failed(label, f"no answer within {format_duration(patience)}", "", *key)
        except (GatewayError, OSError) as error:
            yield failed(label, printable(str(error).removeprefix(f"{name}: "), 400), "", *key)
        else:
            yield passed(label, found, *key)


async def _reached(name: str, section: Upstream, documents: Documents, servers: Mapping[str, McpServer]) -> str:
    """What shows that it can be reached. Raises GatewayError or OSError with why it can't."""
    match section:
        case SearchUpstream():
            await trio.lowlevel.checkpoint()
            return f"it is made of {section.upstream}"
        case McpUpstream():
            await servers[name].wait_connected()
            return "there is a session with it"
        case FilesUpstream():
            root = await trio.Path(section.root).expanduser()
            if not await root.is_dir():
                raise NotADirectoryError(f"{section.root} is no folder")
            return "the folder is there"
        case HttpUpstream() if section.versions is None:
            return await _connected(section.base_url)
        case NpmUpstream() | HttpUpstream():
            await documents.releases(name, Reading(_NOW))
            return "it lists its releases"
        case _:
            assert_never(section)


async def _connected(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        stream = await trio.open_tcp_stream(parts.hostname or "", port)
    except OSError as error:
        raise OSError(f"no connection to {parts.hostname}:{port}: {error}") from error
    await stream.aclose()
    return f"{parts.hostname}:{port} takes connections"


def _about(seconds: float) -> str:
    """A duration in its largest unit, rounded down."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"
