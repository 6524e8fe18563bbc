from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.loader import Loaded, load_profile
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.policies import RateLimit
from gateway.profile.upstreams.search import SearchUpstream
from gateway.profile.workers import _rate, for_worker, needs_restart_of_workers, of_all

PROFILE = """
[server]
workers = {workers}
[cache.disk]
path = "/var/cache/gateway/production.db"
[strategies.s]
ttl = "1h"
[alerts.memory]
warning = "1GB"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
max_concurrent = {concurrent}
rate_limit = {{ max = {most}, window = "10s" }}
[upstreams.docs]
type = "files"
root = "/srv/docs"
[upstreams.found]
type = "search"
upstream = "docs"
strategy = "s"
path = "/var/cache/gateway/search"
documents = [{{ path = "**/*.md" }}]
[tools.get]
description = "a tool"
strategy = "s"
fetch = {{ upstream = "api", path = "x" }}
"""


def loaded(folder: Path, workers: int = 3, concurrent: int = 100, most: int = 1000) -> Loaded:
    (folder / "p.toml").write_text(PROFILE.format(workers=workers, concurrent=concurrent, most=most))
    return load_profile("p", environ={}, cwd=folder, folders=[folder])


def test_the_first_worker_has_the_files_of_a_gateway_alone(tmp_path: Path) -> None:
    """So that what was kept is still there when workers are added; the others have files beside it."""
    parts = [for_worker(loaded(tmp_path), number, 3).profile for number in (1, 2, 3)]
    assert [part.cache.disk.path for part in parts] == [
        "/var/cache/gateway/production.db",
        "/var/cache/gateway/production.worker-2.db",
        "/var/cache/gateway/production.worker-3.db",
    ]
    searches = [part.upstreams["found"] for part in parts]
    assert [search.path for search in searches if isinstance(search, SearchUpstream)] == [
        "/var/cache/gateway/search",
        "/var/cache/gateway/search/worker-2",
        "/var/cache/gateway/search/worker-3",
    ]


def test_alerts_are_raised_by_the_supervisor(tmp_path: Path) -> None:
    """A worker knows but a part of the numbers."""
    whole = loaded(tmp_path)
    assert whole.profile.alerts.memory.warning is not None
    assert for_worker(whole, 2, 3).profile.alerts.memory.warning is None


@given(workers=st.integers(1, 64), concurrent=st.integers(1, 500), most=st.integers(1, 5000))
def test_upstreams_are_asked_as_often_as_by_one(
    workers: int, concurrent: int, most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All workers together keep to the profile's rate, and to its concurrency where each has one slot at least."""
    whole = loaded(tmp_path_factory.mktemp("p"), workers, concurrent, most)
    parts = [for_worker(whole, number, workers).profile.upstreams["api"] for number in range(1, workers + 1)]
    assert all(isinstance(part, HttpUpstream) for part in parts)
    sections = [part for part in parts if isinstance(part, HttpUpstream)]
    rate = sum(each.rate_limit.max / each.rate_limit.window for each in sections)
    assert rate == pytest.approx(most / 10)
    assert sum(each.rate_limit.max for each in sections) <= max(most, workers)
    assert sum(each.max_concurrent for each in sections) == max(concurrent, workers)


def test_bounds_of_pools_are_shared_out(tmp_path: Path) -> None:
    """Like what they bound: no more is asked of an upstream at once by all workers than `scaling.pools.max`."""
    whole = loaded(tmp_path)
    pools = whole.profile.scaling.pools.model_copy(update={"max": 10})
    scaling = whole.profile.scaling.model_copy(update={"pools": pools})
    scaled = replace(whole, profile=whole.profile.model_copy(update={"scaling": scaling}))
    parts = [for_worker(scaled, number, 3).profile.scaling.pools for number in (1, 2, 3)]
    assert [part.max for part in parts] == [4, 3, 3]
    assert [part.min for part in parts] == [None, None, None]


@given(workers=st.integers(1, 64), most=st.integers(1, 10_000), seconds=st.integers(1, 3600))
def test_the_parts_of_a_rate_are_the_whole_again(workers: int, most: int, seconds: int) -> None:
    """What all workers may ask together is what the profile says, and no more of it at once."""
    whole = RateLimit.model_validate({"max": most, "window": f"{seconds}s"})
    again = of_all(_rate(whole, workers), workers)
    assert again.max / again.window == pytest.approx(most / seconds)
    assert again.max <= most


def test_what_workers_are_given_at_their_start(tmp_path: Path) -> None:
    """How many there are, and their sockets, can't be changed while they run."""
    before = loaded(tmp_path).profile
    server = before.server.model_copy(update={"workers": 2, "bind": ("127.0.0.1:1",)})
    assert needs_restart_of_workers(before, before) == []
    assert needs_restart_of_workers(before, before.model_copy(update={"server": server})) == [
        "server.workers",
        "server.bind",
    ]
