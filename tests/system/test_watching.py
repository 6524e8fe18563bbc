"""Metrics and alerts of a running gateway: what it says of itself when it does well, and when it does badly."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.fakes.http_server import HttpServer, answer
from tests.system import promtool
from tests.system.watched import Items, Watched, label_values, start

HOSTILE = 'evil"}\n# HELP x \\ {{ \x1b[31m'
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
QUICKLY = """
[metrics]
resolution = "200ms"
interval = "200ms"
history = "60s"
"""
TELLING = """
[notifications.webhook]
url = "{url}/alerts?to=operator"
[notifications.command]
argv = ["/bin/sh", "-c", "cat >> {folder}/told; echo >> {folder}/told"]
"""
REASONABLE = """
[alerts]
response_time = {{ warning = "5s", window = "2s", min_requests = 5 }}
hit_rate = {{ warning = "50%", window = "2s", min_requests = 20 }}
error_rate = {{ warning = "10%", window = "2s", min_requests = 5 }}
throughput = {{ warning = 100_000, window = "2s" }}
memory = {{ warning = "4GB", window = "2s" }}
cpu = {{ warning = "90%", sustained = "30s", window = "2s" }}
upstream_response_time = {{ warning = "5s", window = "2s", min_requests = 5 }}
disk = {{ warning = "{free}", window = "2s" }}
lag = {{ warning = "10s", window = "2s" }}
"""


@pytest.fixture
async def items(nursery: trio.Nursery) -> Items:
    """The upstream."""
    items = Items()
    await nursery.start(items.serve)
    return items


@pytest.fixture
async def operator(nursery: trio.Nursery) -> HttpServer:
    """Who is told of alerts."""
    server = HttpServer()
    server.on("/alerts?to=operator", answer(status="204 No Content"))
    await nursery.start(server.serve)
    return server


@asynccontextmanager
async def watched(folder: Path, items: Items, more: str) -> AsyncIterator[Watched]:
    """A gateway that is looked at often; it ends well after the block."""
    with await start(folder, items.url, QUICKLY + more) as gateway:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            yield Watched(gateway, http)
        assert await trio.to_thread.run_sync(gateway.stop) == 0


async def until(gateway: Watched, raised: Callable[[dict[str, str]], bool], do: Callable[[], Awaitable[Any]]) -> None:
    """Do something until the alerts that are raised are as they should be."""
    with trio.move_on_after(20):
        while not raised(await gateway.raised()):
            await do()
        return
    raise AssertionError(f"{await gateway.raised()} after 20 s\n{gateway.process.stderr[-3000:]}")


async def a_moment() -> None:
    """Nothing is done."""
    await trio.sleep(0.1)


async def abused(gateway: Watched) -> None:
    """Requests as a caller makes them who wants to be in a metric."""
    await gateway.rpc("tools/call", {"name": HOSTILE, "arguments": {}})
    await gateway.rpc("tools/call", {"name": "item", "arguments": {"number": HOSTILE, HOSTILE: 1}})
    await gateway.rpc("tools/call", {"name": "item", "arguments": {"number": 1}, "_meta": {"x": HOSTILE}})
    await gateway.rpc("resources/read", {"uri": "item://77777"})
    await gateway.rpc("resources/read", {"uri": "evil://77777"})
    await gateway.rpc("prompts/get", {"name": HOSTILE})
    await gateway.rpc("tools/list", {"cursor": "evil"})
    await gateway.rpc("evil/method", {})
    await gateway.admin("/evil")
    await gateway.item(1)


async def test_metrics_are_sound_and_nobody_can_write_into_them(tmp_path: Path, items: Items) -> None:
    """promtool has nothing to say, OpenMetrics parses, and labels are the profile's, whatever is asked for."""
    async with watched(tmp_path, items, "") as gateway:
        await abused(gateway)
        plain, open_metrics = await gateway.admin("/metrics"), await gateway.admin("/metrics", Accept=OPENMETRICS)
        numbers = (await gateway.admin("/api/metrics")).json()
        assert "Traceback" not in gateway.process.stderr
        assert "evil" not in gateway.process.stderr
    assert await trio.to_thread.run_sync(promtool.complaints, plain.content) == ""
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in text_string_to_metric_families(open_metrics.text)}  # type: ignore[no-untyped-call]  # the library does not type it
    assert {"gateway_request_seconds", "gateway_tier_seconds", "gateway_upstream_seconds"} <= families
    values = label_values(plain.text)
    lists = {"tools/list", "resources/templates/list"}
    assert values["name"] <= {"item", ""} | lists
    assert (values["strategy"], values["upstream"]) == ({"kept", ""}, {"items"})
    assert values["tool"] == {"item"}
    assert values["outcome"] <= {"hit", "miss", "passed", "refused", "done", "answered"}
    for text in (plain.text, open_metrics.text, json.dumps(numbers)):
        assert "evil" not in text
        assert "77777" not in text
    parts = ("kind", "name", "strategy", "tier", "outcome")
    samples = numbers["gateway_request_seconds"]["samples"]
    by_outcome = {tuple(each["labels"][part] for part in parts): each["count"] for each in samples}
    assert by_outcome["tool", "item", "kept", "memory", "hit"] == 1
    assert by_outcome["tool", "item", "kept", "upstream", "miss"] == 1
    assert by_outcome["tool", "", "", "", "refused"] == 1


async def test_a_gateway_that_does_well_raises_nothing(tmp_path: Path, items: Items, operator: HttpServer) -> None:
    """Every alert has a reasonable threshold, there is load, and all of them are silent."""
    thresholds = REASONABLE.format(free="1MB")
    telling = TELLING.format(url=operator.url, folder=tmp_path)
    async with watched(tmp_path, items, thresholds + telling) as gateway:
        with trio.move_on_after(3):
            while True:
                for number in range(5):
                    await gateway.item(number)
        metrics = (await gateway.admin("/metrics")).text
        alerts = (await gateway.admin("/api/alerts")).json()
    assert alerts == {"alerts": [], "changes": []}
    assert operator.requests == []
    assert not (tmp_path / "told").exists()
    assert metrics.count("gateway_alert_severity{") == 9
    assert metrics.count("gateway_alert_severity{") == metrics.count("} 0.0", metrics.index("gateway_alert_severity{"))


async def test_numbers_of_the_machine_raise_alerts(tmp_path: Path, items: Items, operator: HttpServer) -> None:
    """Memory, CPU, disk and throughput, by thresholds that any load reaches; the operator is told of each."""
    free = shutil.disk_usage(tmp_path).free // 1_000_000_000 * 1000 + 1_000_000
    alerts = f"""
[alerts]
memory = {{ warning = "1MB", critical = "4GB", window = "1s" }}
cpu = {{ critical = "5%", window = "1s" }}
throughput = {{ warning = 5, window = "1s" }}
disk = {{ critical = "{free}MB", window = "1s" }}
"""
    telling = TELLING.format(url=operator.url, folder=tmp_path)
    async with watched(tmp_path, items, alerts + telling) as gateway:
        everything = {"memory": "warning", "cpu": "critical", "throughput": "warning", "disk": "critical"}
        await until(gateway, lambda raised: raised == everything, lambda: gateway.item(1))
        told = (await gateway.admin("/api/alerts")).json()
        await until(gateway, lambda raised: "throughput" not in raised, a_moment)
        with trio.fail_after(20):
            while len(operator.requests) < 5:  # noqa: ASYNC110  # another process tells it
                await trio.sleep(0.05)
            while len((tmp_path / "told").read_text().splitlines()) < 5:  # noqa: ASYNC110
                await trio.sleep(0.05)
    memory = next(alert for alert in told["alerts"] if alert["name"] == "memory")
    assert set(memory) == {
        *("name", "subject", "severity", "value", "threshold", "unit", "key", "text", "raised_at"),
    }
    assert (memory["threshold"], memory["unit"], memory["key"]) == (1_000_000, "bytes", "alerts.memory.warning")
    assert [alert["severity"] for alert in told["alerts"]] == ["critical", "critical", "warning", "warning"]
    posted = [json.loads(request.body) for request in operator.requests]
    assert {(each["alert"], each["event"]) for each in posted} >= {
        *((name, "raised") for name in everything),
        ("throughput", "cleared"),
    }
    assert all(each["gateway"] == "watched" and each["text"] for each in posted)
    ran = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [each["alert"] for each in ran] == [each["alert"] for each in posted][: len(ran)]


async def test_what_callers_feel_raises_alerts(tmp_path: Path, items: Items, operator: HttpServer) -> None:
    """A slow upstream, one that fails, questions that never repeat: raised while it is so, and cleared afterwards."""
    alerts = """
[alerts]
response_time = { warning = "200ms", critical = "10s", window = "1s", min_requests = 5 }
upstream_response_time = { warning = "200ms", window = "1s", min_requests = 5 }
error_rate = { critical = "20%", window = "1s", min_requests = 5 }
hit_rate = { warning = "60%", window = "1s", min_requests = 5 }
"""
    numbers = iter(range(1_000_000))

    async def new_ones() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(gateway.item, next(numbers))

    async def old_ones() -> None:
        for _ in range(10):
            await gateway.item(0)

    telling = TELLING.format(url=operator.url, folder=tmp_path)
    async with watched(tmp_path, items, alerts + telling) as gateway:
        items.delay = 0.3
        slow = {"response_time": "warning", "upstream_response_time": "warning", "hit_rate": "warning"}
        await until(gateway, lambda raised: raised == slow, new_ones)
        subjects = {alert["subject"] for alert in (await gateway.admin("/api/alerts")).json()["alerts"]}
        items.delay = 0.0
        await until(gateway, lambda raised: raised == {}, old_ones)
        items.failing = True
        await until(gateway, lambda raised: raised.get("error_rate") == "critical", new_ones)
        items.failing = False
        await until(gateway, lambda raised: raised == {}, old_ones)
        changes = (await gateway.admin("/api/alerts")).json()["changes"]
        log = gateway.process.stderr
    assert subjects == {"", "items"}
    happened = [(change["name"], change["event"]) for change in changes]
    for name in (*slow, "error_rate"):
        assert happened.count((name, "raised")) == happened.count((name, "cleared")) >= 1
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line["event"] == "request"]
    assert {line["outcome"] for line in failed} == {"failed"}
    assert {key for line in failed for key in line} <= {
        *("event", "kind", "name", "strategy", "outcome", "ms", "level", "timestamp"),
    }
    assert [line["change"] for line in lines if line.get("alert") == "error_rate"][:1] == ["raised"]


async def test_a_loop_that_is_blocked_raises_an_alert(tmp_path: Path, items: Items) -> None:
    """The process stands still for a moment, as it would in a call that blocks; then all is well again."""
    alerts = '[alerts]\nlag = { warning = "300ms", critical = "30s", window = "1s" }\n'
    async with watched(tmp_path, items, alerts) as gateway:

        async def stand_still() -> None:
            gateway.process.process.send_signal(signal.SIGSTOP)
            await trio.sleep(0.6)
            gateway.process.process.send_signal(signal.SIGCONT)

        await until(gateway, lambda raised: raised == {"lag": "warning"}, stand_still)
        await until(gateway, lambda raised: raised == {}, a_moment)
