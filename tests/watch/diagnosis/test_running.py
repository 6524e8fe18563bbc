"""Each rule is provoked in a gateway that runs, on a server on a loopback socket; and none where all is well."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import tomli_w
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.profile.loader import load_profile
from gateway.watch.diagnosis.diagnose import diagnose, gather
from gateway.watch.diagnosis.model import Issue
from tests.fakes.http_server import HttpServer, Request, Script, answer

PROFILE = """
cache.disk.enabled = false
monitors.memory = {{ warning = "40GB", critical = "50GB" }}
alerts.lag.warning = "10s"
[metrics]
resolution = "100ms"
interval = "1s"
history = "1m"
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "{url}"
private_addresses = true
[tools.get]
description = "A thing."
strategy = "s"
[tools.get.input.properties]
name = {{ type = "string" }}
[tools.get.fetch]
upstream = "api"
path = "{{name}}"
"""
BODY = '{"is": "%s", "filling": "' + "x" * 900 + '"}'
DOWN = answer(b"{}", status="503 Service Unavailable")


def page(request: Request) -> Script:
    """A thing, whatever the case of its name."""
    return answer((BODY % request.target.lower()).encode())


async def never(_request: Request, _stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


@dataclass
class Things(HttpServer):
    """Answers every path as one function says."""

    reply: Callable[[Request], Script] = field(default=page)

    def script_for(self, request: Request) -> Script:
        return self.reply(request)


@dataclass
class Running:
    """A gateway, and where it was declared."""

    gateway: Gateway
    folder: Path

    async def ask(self, name: str) -> None:
        """Call the tool as a client's request does."""
        watching = self.gateway.watching.requests
        with watching.watching("tool", "get", strategy="s") as ending:
            ending.outcome = (await self.gateway.catalogue.call("get", {"name": name})).outcome

    async def until(self, rule: str) -> Issue:
        """The issue that the rule finds, as soon as it does; its change has to make a profile."""
        with trio.fail_after(60):
            while True:
                issues = [issue for issue in self.issues() if issue.name == rule]
                if issues:
                    break
                await trio.sleep(0.05)
        (issue,) = issues
        (self.folder / "after.toml").write_text(tomli_w.dumps({"extends": ["p.toml"], **issue.change}))
        after = load_profile("after", environ={}, cwd=self.folder, folders=[self.folder]).profile
        assert (after != self.gateway.profile) == bool(issue.change)
        return issue

    def issues(self) -> list[Issue]:
        return diagnose(gather(self.gateway.profile, self.gateway.watching))


@asynccontextmanager
async def running(folder: Path, text: str = "", reply: Callable[[Request], Script] = page) -> AsyncIterator[Running]:
    """A gateway of the profile with `text` merged over it."""
    server = Things(reply=reply)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        (folder / "base.toml").write_text(PROFILE.format(url=server.url))
        (folder / "p.toml").write_text(f'extends = ["base.toml"]\n{text}')
        loaded = load_profile("p", environ={}, cwd=folder, folders=[folder])
        async with open_gateway(loaded.profile, {}, loaded=loaded) as gateway:
            yield Running(gateway, folder)
        nursery.cancel_scope.cancel()


async def test_all_is_well(tmp_path: Path) -> None:
    """A gateway that answers from its cache, of an upstream that answers, has nothing to tell of."""
    async with running(tmp_path) as run:
        for number in range(300):
            await run.ask(f"thing-{number % 5}")
        with trio.fail_after(60):
            while len(run.gateway.watching.series) < 3:  # noqa: ASYNC110  # nobody tells of a sample
                await trio.sleep(0.05)
        assert run.issues() == []


async def test_all_new_is_well_too(tmp_path: Path) -> None:
    """A cold cache misses, and no setting would change that."""
    async with running(tmp_path) as run:
        for number in range(60):
            await run.ask(f"thing-{number}")
        assert run.issues() == []


async def test_low_hit_rate(tmp_path: Path) -> None:
    """Answers that expire before they are asked for again."""
    async with running(tmp_path, '[strategies.s]\nttl = "1ms"') as run:
        for number in range(60):
            await run.ask(f"thing-{number % 5}")
            await trio.sleep(0.002)
        issue = await run.until("low_hit_rate")
    assert "55 of the last 60 misses" in issue.evidence
    assert issue.change["strategies"]["s"] == {"ttl": "4ms", "stale_while_revalidate": "1ms"}


async def test_evictions(tmp_path: Path) -> None:
    """A memory tier that everything goes round in, and is gone when it comes again."""
    async with running(tmp_path, "cache.memory.max_items = 200") as run:
        for number in range(1200):
            await run.ask(f"thing-{number % 150}")
        issue = await run.until("evictions")
    assert issue.change == {"cache": {"memory": {"max_items": 400}}}


async def test_needless_room(tmp_path: Path) -> None:
    """Half of what is kept is not asked for, and the process is near its threshold."""
    text = 'cache.memory.max_size = "150KB"\n' + short_of_memory()
    async with running(tmp_path, text) as run:
        for number in range(50):
            await run.ask(f"thing-{number}")
        for number in range(2000):
            await run.ask(f"thing-{45 + number % 5}")
        issue = await run.until("needless_room")
    assert issue.change == {"cache": {"memory": {"max_size": "75KB"}}}


async def test_spellings(tmp_path: Path) -> None:
    """Two spellings of each name, and one answer."""
    async with running(tmp_path) as run:
        for number in range(30):
            await run.ask(f"thing-{number}")
            await run.ask(f"Thing-{number}")
        issue = await run.until("spellings")
    assert issue.change == {"tools": {"get": {"normalize": {"name": "lower(trim(name))"}}}}


async def test_never_again(tmp_path: Path) -> None:
    """Always something new, and no room."""
    async with running(tmp_path, "cache.memory.max_items = 20") as run:
        for number in range(60):
            await run.ask(f"thing-{number}")
        issue = await run.until("never_again")
    assert issue.change == {"strategies": {"s": {"priority": "low"}}}


async def test_slow_upstream(tmp_path: Path) -> None:
    """Every answer takes its time."""

    def slow(request: Request) -> Script:
        async def handler(_request: Request, stream: trio.SocketStream) -> None:
            await trio.sleep(0.05)
            await stream.send_all(answer((BODY % request.target).encode(), headers={"Connection": "close"}))
            await stream.aclose()

        return handler

    async with running(tmp_path, 'alerts.upstream_response_time.warning = "20ms"', slow) as run:
        for number in range(25):
            await run.ask(f"thing-{number}")
        issue = await run.until("slow_upstream")
    assert issue.change == {"strategies": {"s": {"stale_while_revalidate": "15m"}}}, "as long as memory keeps it"


async def test_retry_storm(tmp_path: Path) -> None:
    """An upstream that is down, and retries that nothing bounds."""
    text = 'retries = 3\nretry_delay = "1ms"\nretry_budget = "100%"\nbreaker.enabled = false'
    async with running(tmp_path, f"[upstreams.api]\n{text}", lambda _: DOWN) as run:
        for number in range(10):
            await run.ask(f"thing-{number}")
        issue = await run.until("retry_storm")
    assert issue.evidence.endswith("questions failed anyway")
    assert issue.change["upstreams"]["api"] == {"retries": 1, "breaker": {"enabled": True, "failures": 3}}


async def test_pool_exhausted(tmp_path: Path) -> None:
    """Two slots, and more who wait."""
    text = "[upstreams.api]\nmax_concurrent = 2\npool = { max_connections = 2, max_keepalive = 2 }"
    async with running(tmp_path, text, lambda _: never) as run, trio.open_nursery() as callers:
        for number in range(6):
            callers.start_soon(run.ask, f"thing-{number}")
        issue = await run.until("pool_exhausted")
        callers.cancel_scope.cancel()
    assert issue.evidence == "up to 4 requests waited for one of 2 slots"
    assert issue.change["upstreams"]["api"] == {"max_concurrent": 4, "pool": {"max_connections": 4}}


async def test_throttled(tmp_path: Path) -> None:
    """A limit of our own that calls wait for."""
    text = '[upstreams.api]\nrate_limit = { max = 1, window = "5s" }\nbreaker.enabled = false'
    async with running(tmp_path, text) as run, trio.open_nursery() as callers:
        for number in range(4):
            callers.start_soon(run.ask, f"thing-{number}")
        issue = await run.until("throttled")
        callers.cancel_scope.cancel()
    assert issue.change == {"upstreams": {"api": {"rate_limit": {"max": 2}}}}


async def test_batch_window(tmp_path: Path) -> None:
    """Calls that come one by one wait for company that never comes."""
    text = """
    [upstreams.api.batch]
    window = "10ms"
    parameter = "id"
    key = "id"
    [tools.get.fetch]
    path = "batch"
    batch_key = "{name}"
    """

    def items(request: Request) -> Script:
        return answer(b'[{"id": "%s"}]' % request.target.partition("id=")[2].encode())

    async with running(tmp_path, text, items) as run:
        for number in range(20):
            await run.ask(f"thing-{number}")
        issue = await run.until("batch_window")
    assert issue.evidence == "20 batches had 1.0 requests on average, and each waited 10ms for others"
    assert issue.change == {"upstreams": {"api": {"batch": {"window": "1ms"}}}}


async def test_open_breaker(tmp_path: Path) -> None:
    """An upstream that is given up, and nothing old to answer with."""
    text = "[upstreams.api]\nretries = 0\nbreaker.failures = 2"
    async with running(tmp_path, text, lambda _: DOWN) as run:
        for number in range(5):
            await run.ask(f"thing-{number}")
        issue = await run.until("open_breaker")
    assert issue.change == {"strategies": {"s": {"stale_if_error": "24h"}}}


async def test_high_memory(tmp_path: Path) -> None:
    """A process near its threshold, and not for its memory tier."""
    async with running(tmp_path, short_of_memory()) as run:
        issue = await run.until("high_memory")
    assert set(issue.change) == {"monitors"}


async def test_lag(tmp_path: Path) -> None:
    """An event loop that something holds up again and again."""
    async with running(tmp_path, 'alerts.lag.warning = "20ms"') as run, trio.open_nursery() as nursery:

        async def holding_up() -> None:
            while True:
                time.sleep(0.1)  # noqa: ASYNC251  # that is the point
                await trio.sleep(0.02)

        nursery.start_soon(holding_up)
        issue = await run.until("lag")
        nursery.cancel_scope.cancel()
    assert "20 ms late or more" in issue.evidence


def short_of_memory() -> str:
    """Thresholds that this process is just below."""
    threshold = partial("{}B".format)
    resident = psutil.Process().memory_info().rss
    return f'monitors.memory = {{ warning = "{threshold(resident * 21 // 20)}", critical = "50GB" }}'
