"""A gateway whose memory tier is too small for what is asked: it grows where that helps, and only there."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from tests.system.processes import run
from tests.system.watched import Watched, watched

PROFILE = """
[cache.memory]
max_size = "{size}"
max_items = 50_000
[cache.disk]
enabled = false
[monitors.memory]
warning = "2GB"
critical = "3GB"
[scaling]
enabled = true
interval = "100ms"
window = "1s"
cooldown = "500ms"
pools = {{ enabled = false }}
threads = {{ enabled = false }}
memory = {{ min_size = "{size}" }}                # or it would shrink until the first request comes
"""


async def scaling(gateway: Watched) -> dict[str, Any]:
    answer: dict[str, Any] = (await gateway.admin("/api/scaling")).json()
    return answer


async def ask(gateway: Watched, number: Callable[[], int], until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Call, by several clients, until scaling stands as it should; how it stands then."""
    seen: dict[str, Any] = {}
    with trio.fail_after(90):
        async with trio.open_nursery() as nursery:

            async def client() -> None:
                while True:
                    await gateway.item(number())

            for _ in range(4):
                nursery.start_soon(client)
            while not until(seen):
                seen = await scaling(gateway)
            nursery.cancel_scope.cancel()
    return seen


async def test_a_tier_that_is_too_small_grows(tmp_path: Path) -> None:
    """With a working set of twice the tier, step by step; the log, the metrics and `gateway top` say so, and why."""
    draw = random.Random(7)
    async with watched(tmp_path, PROFILE.format(size="150KB"), calls=0) as gateway:
        seen = await ask(gateway, lambda: draw.randrange(160), lambda seen: len(seen.get("steps", ())) >= 2)
        first, grown = seen["steps"][-1], seen["steps"][0]
        assert (first["key"], first["before"], first["after"]) == ("cache.memory.max_size", 150_000, 225_000)
        assert "evicted" in first["reason"]
        assert "the curve says that" in first["reason"]
        limit = (await gateway.admin("/api/overview")).json()["tiers"]["memory"]["limit"]
        assert limit >= grown["after"] > 225_000
        assert gateway.process.stderr.count("limit moved") >= 2
        metrics = (await gateway.admin("/metrics")).text
        assert 'gateway_scaling_steps_total{direction="up",key="cache.memory.max_size"}' in metrics
        top = await run(tmp_path, "top", "--once", "--url", gateway.process.admin, "--profile", "./watched.toml")
        assert "cache.memory.max_size: 0.15 MB -> 0.225 MB, since " in " ".join(top.out.split())


async def test_what_was_moved_outlives_a_reload(tmp_path: Path) -> None:
    """One that says nothing new of it; one that turns scaling off puts everything back to what the profile says."""
    draw, profile = random.Random(7), PROFILE.format(size="150KB")
    async with watched(tmp_path, profile, calls=0) as gateway:
        grown = await ask(gateway, lambda: draw.randrange(160), lambda seen: bool(seen.get("steps")))
        await reload(gateway, tmp_path, 'logging.slow_requests = "3s"\n' + profile)
        after = await scaling(gateway)
        assert after["limits"][0]["value"] >= grown["steps"][0]["after"]
        assert after["steps"][-1] == grown["steps"][-1]
        await reload(gateway, tmp_path, profile.replace("enabled = true", "enabled = false"))
        await trio.to_thread.run_sync(gateway.process.wait_for, "it is not scaled any more")
        assert (await scaling(gateway))["limits"] == []
        assert (await gateway.admin("/api/overview")).json()["tiers"]["memory"]["limit"] == 150_000


async def reload(gateway: Watched, folder: Path, more: str) -> None:
    (folder / "watched.toml").write_text(f'extends = ["head.toml"]\n{more}')
    assert (await gateway.http.post(gateway.process.admin + "/api/reload")).status_code == 200


async def test_a_tier_that_no_size_helps_stays(tmp_path: Path) -> None:
    """What is asked for once each fills any tier: the curve is flat, it is said why, and nothing is moved."""
    numbers = iter(range(10**9))
    async with watched(tmp_path, PROFILE.format(size="150KB"), calls=0) as gateway:

        def told(seen: dict[str, Any]) -> bool:
            return any("scaling.gain" in limit["refusal"] for limit in seen.get("limits", ()))

        seen = await ask(gateway, lambda: next(numbers), told)
        assert seen["steps"] == []
        assert seen["limits"][0]["value"] == 150_000
        assert gateway.process.stderr.count("limit not moved") >= 1
        assert "limit moved" not in gateway.process.stderr
