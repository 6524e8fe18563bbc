"""The profiles that the gateway ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile.loader import Loaded, load_profile
from gateway.profile.search import shipped_folder

NAMES = ["varlet", "base", "development", "testing", "production"]


def shipped(name: str, tmp_path: Path, **environ: str) -> Loaded:
    return load_profile(name, environ=environ, cwd=tmp_path, folders=[shipped_folder()])


@pytest.mark.parametrize("name", NAMES)
def test_loads_without_warnings(name: str, tmp_path: Path) -> None:
    """Every shipped profile can be used as it is."""
    assert [str(warning) for warning in shipped(name, tmp_path).warnings] == []


def test_base(tmp_path: Path) -> None:
    """The values that everything else starts from."""
    profile = shipped("base", tmp_path).profile
    memory, disk = profile.cache.memory, profile.cache.disk
    assert (memory.max_size, memory.ttl, memory.max_items, memory.algorithm) == (256_000_000, 900.0, 50_000, "lru")
    assert (disk.max_size, disk.ttl, disk.cleanup_interval) == (2_000_000_000, 3600.0, 300.0)
    assert (disk.compression_threshold, disk.compression_gain) == (1000, 0.1)
    assert profile.cache.pool_size == 50
    upstream = profile.upstream_defaults
    assert (upstream.timeout, upstream.retries, upstream.retry_delay, upstream.max_concurrent) == (30.0, 3, 1.0, 100)
    assert (upstream.rate_limit.max, upstream.rate_limit.window) == (1000, 60.0)
    pool = upstream.pool
    assert (pool.max_connections, pool.max_keepalive, pool.keepalive, pool.idle_timeout) == (50, 10, 30.0, 60.0)
    assert (profile.metrics.interval, profile.profiling.cpu) == (30.0, False)
    assert (profile.monitors.memory.warning, profile.monitors.memory.critical) == (400_000_000, 480_000_000)


def test_base_strategies(tmp_path: Path) -> None:
    """How long the three kinds of answers are fresh, and what they are worth."""
    strategies = shipped("base", tmp_path).profile.strategies
    assert {name: (strategy.ttl, strategy.priority) for name, strategy in strategies.items()} == {
        "components": (1800.0, "high"),
        "documentation": (900.0, "medium"),
        "examples": (300.0, "low"),
    }


def test_base_alerts(tmp_path: Path) -> None:
    """From where on a number is bad."""
    alerts = shipped("base", tmp_path).profile.alerts
    assert (alerts.response_time.warning, alerts.response_time.critical) == (0.1, 0.5)
    assert (alerts.hit_rate.warning, alerts.memory.warning, alerts.cpu.warning) == (0.9, 512_000_000, 0.5)
    assert (alerts.error_rate.warning, alerts.throughput.warning) == (0.001, 1000)


def test_development(tmp_path: Path) -> None:
    """A small cache, and the CPU is profiled."""
    profile = shipped("development", tmp_path).profile
    assert (profile.cache.memory.max_size, profile.cache.disk.max_size) == (50_000_000, 500_000_000)
    assert profile.profiling.cpu


def test_testing(tmp_path: Path) -> None:
    """Everything expires within seconds."""
    profile = shipped("testing", tmp_path).profile
    assert (profile.cache.memory.ttl, profile.cache.disk.ttl) == (1.0, 5.0)


def test_production(tmp_path: Path) -> None:
    """A large cache, more at once, and thresholds that leave room above the memory tier."""
    profile = shipped("production", tmp_path).profile
    assert (profile.cache.memory.max_size, profile.cache.disk.max_size) == (512_000_000, 5_000_000_000)
    assert profile.upstream_defaults.max_concurrent == 200
    assert profile.cache.memory.max_size < profile.monitors.memory.warning < profile.monitors.memory.critical
    assert profile.alerts.memory.warning is not None
    assert profile.alerts.memory.warning > profile.monitors.memory.critical
    assert profile.logging.format == "json"


def test_disk_paths(tmp_path: Path) -> None:
    """Each profile has a file of its own, in the folder that systemd names or in the user's cache."""
    paths = [shipped(name, tmp_path, CACHE_DIRECTORY="/var/cache/g").profile.cache.disk.path for name in NAMES]
    names = ("gateway", "gateway", "development", "testing", "production")
    assert paths == [f"/var/cache/g/{name}.db" for name in names]
    assert shipped("production", tmp_path).profile.cache.disk.path == "~/.cache/gateway/production.db"
