from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile.loader import Loaded, load_profile
from gateway.watch.preflight import checks
from gateway.watch.preflight.checks import CHECKS, Check
from gateway.watch.preflight.model import Point, Verdict

HEAD = """
[strategies.s]
ttl = "1m"
stale_if_error = "1h"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
[tools.t]
description = "A thing."
strategy = "s"
fetch = { upstream = "api", path = "a" }
"""


BEARER = 'server.authentication = "bearer"\n'
CLIENTS = 'clients.a.token = "${credential:a}"\nclients.b.token = "${credential:b}"\n'
PUBLIC = 'server.bind = ["0.0.0.0:8765"]\nserver.allowed_hosts = ["a.example.org"]\n'


def loaded(folder: Path, text: str) -> Loaded:
    (folder / "head.toml").write_text(HEAD)
    (folder / "p.toml").write_text(f'extends = ["head.toml"]\n{text}')
    for name in ("a", "b"):
        (folder / name).write_text(name * 16)
    environ = {"TOKEN": "secret", "CREDENTIALS_DIRECTORY": str(folder)}
    return load_profile("p", environ=environ, cwd=folder, folders=[folder])


def the_point(check: Check, folder: Path, text: str) -> Point:
    (point,) = check(loaded(folder, text).profile)
    return point


@pytest.mark.parametrize(
    ("check", "text", "found"),
    [
        (checks.cache, "", "memory of 256MB, disk of 2GB"),
        (checks.memory_limits, "", "entries are given up from 400MB on, beside a tier of 256MB"),
        (checks.memory_limits, 'cache.memory = { enabled = false, max_size = "1TB" }', "there is no memory tier"),
        (checks.pools, "", "50 connections a host, 10 kept for 30s"),
        (checks.compression, "", "entries above 1KB where that saves 10%"),
        (checks.compression, "cache.disk.enabled = false", "there is no disk tier"),
        (checks.batching, "", "no upstream declares batches; equal requests are one anyway"),
        (checks.batching, 'upstreams.api.batch.parameter = "id"', "batches: api"),
        (checks.monitoring, "", "/metrics, /healthz and the dashboard at 127.0.0.1:8766"),
        (checks.error_handling, "", "retries within a budget, breakers, and old answers that stand in"),
        (checks.logging, 'logging.format = "json"', "json, from info on"),
        (checks.authentication, "", "only this machine reaches it; a proxy in front decides who else"),
        (checks.authentication, BEARER + CLIENTS, "clients that may ask, by their tokens: 2"),
    ],
)
def test_a_point_that_passes(check: Check, text: str, found: str, tmp_path: Path) -> None:
    """As it should be, and what was found."""
    point = the_point(check, tmp_path, text)
    assert (point.verdict, point.found, point.remedy) == (Verdict.PASS, found, "")


ALERTS = """
alerts.response_time.warning = "1s"
alerts.error_rate.warning = "1%"
alerts.hit_rate.warning = "50%"
"""


@pytest.mark.parametrize(
    ("check", "text", "verdict", "found", "key"),
    [
        (checks.cache, "cache.disk.enabled = false", "warn", "only the memory tier is on", "cache.disk.enabled"),
        (checks.cache, "cache.memory.enabled = false", "warn", "only the disk tier is on", "cache.memory.enabled"),
        (
            checks.cache,
            "cache.memory.enabled = false\ncache.disk.enabled = false",
            "fail",
            "both tiers are off",
            "cache.memory.enabled",
        ),
        (
            checks.memory_limits,
            'cache.memory.max_size = "301MB"',
            "fail",
            "the memory tier may take 301MB, and from 400MB on entries are given up: it would never be full",
            "monitors.memory.warning",
        ),
        (
            checks.pools,
            "[upstreams.api]\nmax_concurrent = 100\npool = { max_connections = 9, max_keepalive = 9 }",
            "warn",
            "api: 100 requests at once over 9 connections",
            "upstreams.api.pool.max_connections",
        ),
        (
            checks.compression,
            'cache.disk.compression_threshold = "1MB"',
            "warn",
            "only entries above 1MB are compressed",
            "cache.disk.compression_threshold",
        ),
        (
            checks.batching,
            'upstreams.api.batch = { parameter = "id", window = "300ms" }',
            "warn",
            "api: each request waits 300ms for others",
            "upstreams.api.batch.window",
        ),
        (
            checks.monitoring,
            "admin.enabled = false",
            "fail",
            "the admin site is off: no metrics, no health",
            "admin.enabled",
        ),
        (checks.alerts, ALERTS, "fail", "nothing is raised for memory", "alerts.memory"),
        (
            checks.alerts,
            ALERTS + 'alerts.memory.critical = "1GB"',
            "warn",
            "4 alerts, which only the log, /metrics and the dashboard tell",
            "notifications",
        ),
        (
            checks.alerts,
            ALERTS + 'alerts.memory.critical = "1GB"\nnotifications.command.argv = ["page"]',
            "pass",
            "4 alerts",
            "alerts",
        ),
        (
            checks.error_handling,
            'strategies.s.stale_if_error = "0s"',
            "warn",
            "under s nothing stands in for an upstream that fails",
            "strategies.s.stale_if_error",
        ),
        (
            checks.error_handling,
            "upstreams.api.breaker.enabled = false",
            "fail",
            "api: no breaker, so an outage is made worse",
            "upstreams.api.breaker.enabled",
        ),
        (
            checks.error_handling,
            'upstreams.api.retry_budget = "60%"',
            "fail",
            "api: retries beyond half of the requests make an outage worse",
            "upstreams.api.retry_budget",
        ),
        (checks.logging, 'logging.level = "debug"', "warn", "every detail is logged", "logging.level"),
        (checks.logging, 'logging.format = "console"', "warn", "lines are made for people", "logging.format"),
        (
            checks.authentication,
            PUBLIC,
            "warn",
            "whoever reaches 0.0.0.0:8765 is answered: nobody is asked for a token",
            "server.bind",
        ),
        (
            checks.authentication,
            PUBLIC + BEARER + CLIENTS,
            "warn",
            "tokens cross the network to 0.0.0.0:8765 unencrypted",
            "server.bind",
        ),
        (
            checks.authentication,
            CLIENTS,
            "fail",
            "there are clients, and nobody is asked for a token",
            "server.authentication",
        ),
        (
            checks.authentication,
            BEARER,
            "fail",
            "there are no clients, so nobody may ask",
            "server.authentication",
        ),
        (
            checks.authentication,
            'admin.bind = ["127.0.0.1:1", "192.0.2.1:8766"]',
            "fail",
            "whoever reaches 192.0.2.1:8766 can purge the cache",
            "admin.bind",
        ),
    ],
)
def test_a_point_to_think_about(check: Check, text: str, verdict: str, found: str, key: str, tmp_path: Path) -> None:
    """What was found, the key that it is about, and what to do."""
    point = the_point(check, tmp_path, text)
    assert (point.verdict.value, point.found, ".".join(point.key)) == (verdict, found, key)
    assert bool(point.remedy) == (verdict != "pass")


def test_a_strategy_of_what_is_not_kept(tmp_path: Path) -> None:
    """A tool that changes something has no old answers that could stand in."""
    text = 'strategies.s.stale_if_error = "0s"\ntools.t.annotations.read_only = false'
    assert the_point(checks.error_handling, tmp_path, text).verdict is Verdict.PASS


SERVER = '[upstreams.server]\ntype = "mcp"\n'


@pytest.mark.parametrize(
    ("text", "verdict", "found"),
    [
        ("", "pass", "whatever looks like one is a credential"),
        ('upstreams.api.headers.Accept = "text/html"', "pass", "whatever looks like one is a credential"),
        (
            'upstreams.api.headers.Authorization = "Bearer ${credential:API}"',
            "pass",
            "whatever looks like one is a credential",
        ),
        (
            'upstreams.api.headers.X-Api-Key = "abc"',
            "fail",
            "what looks like a credential comes from the profile",
        ),
        (
            'upstreams.api.headers.Authorization = "Bearer ${TOKEN}"',
            "fail",
            "what looks like a credential comes from the environment",
        ),
        (
            SERVER + 'command = ["server"]\nenv = { GITHUB_TOKEN = "abc" }',
            "fail",
            "what looks like a credential comes from the profile",
        ),
        (
            SERVER + 'url = "https://mcp.example.org/mcp"\nheaders = { Cookie = "abc" }',
            "fail",
            "what looks like a credential comes from the profile",
        ),
        (
            '[notifications.webhook]\nurl = "https://page.example.org/"\nheaders = { X-Token = "abc" }',
            "fail",
            "what looks like a credential comes from the profile",
        ),
        (
            '[opentelemetry.headers]\nauthorization = "abc"',
            "fail",
            "what looks like a credential comes from the profile",
        ),
    ],
)
def test_secrets(text: str, verdict: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers and variables whose names say that they are secret come from credentials, and from nowhere else."""
    (tmp_path / "API").write_text("x")
    (tmp_path / "head.toml").write_text(HEAD)
    (tmp_path / "p.toml").write_text(f'extends = ["head.toml"]\n{text}')
    environ = {"TOKEN": "secret", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    about = load_profile("p", environ=environ, cwd=tmp_path, folders=[tmp_path])
    (point,) = checks.secrets(about.profile, about.written)
    assert (point.verdict.value, point.found) == (verdict, found)
    assert "abc" not in point.found + point.remedy


def test_a_command_has_no_pool(tmp_path: Path) -> None:
    """However many calls are under way, they go through one pipe."""
    text = SERVER + 'command = ["server"]\npool = { max_connections = 1, max_keepalive = 1 }'
    assert the_point(checks.pools, tmp_path, text).verdict is Verdict.PASS


def test_the_shipped_production_profile() -> None:
    """Nothing in it speaks against a release, and every point has a key of its own."""
    about = load_profile("production", environ={})
    points = [point for check in CHECKS for point in check(about.profile)]
    points += checks.secrets(about.profile, about.written)
    assert [point for point in points if point.verdict is Verdict.FAIL] == []
    assert {point.name for point in points if point.verdict is Verdict.WARN} == {"alerts"}
    assert len({point.name for point in points}) == len(points) == 11
