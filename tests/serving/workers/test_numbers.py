from __future__ import annotations

from pathlib import Path

import pytest

from gateway.assembly import Gateway, open_gateway
from gateway.profile.loader import load_profile
from gateway.serving.workers.gauges import FleetGauges
from gateway.serving.workers.numbers import Numbers, added, fill, numbers_of, read
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.gauges import UpstreamState

PROFILE = """
[cache.disk]
path = "{folder}/cache.db"
[strategies.s]
ttl = "1h"
[upstreams.docs]
type = "files"
root = "{folder}"
[tools.get]
description = "a tool"
strategy = "s"
fetch = {{ upstream = "docs", path = "a.json" }}
"""


async def told(gateway: Gateway) -> Numbers:
    return read(await numbers_of(gateway))


async def test_what_two_have_counted_is_added_up(tmp_path: Path) -> None:
    """Requests, tiers and everything else, as one gateway would have counted them; nothing is counted twice."""
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "p.toml").write_text(PROFILE.format(folder=tmp_path))
    profile = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path]).profile
    async with open_gateway(profile, {}, ahead=False) as gateway:
        requests = gateway.watching.requests
        for _ in range(3):
            with requests.watching("tool", "get", strategy="s") as ending:
                ending.outcome = (await gateway.catalogue.call("get", {})).outcome
        gateway.watching.telemetry.refusals.add("no_token", "")
        one = await told(gateway)
        together = Telemetry()
        for _ in range(2):
            fill(together, [one, one])
        counted = {labels: timing.count for labels, timing in together.requests.items()}
        assert counted == {
            ("tool", "get", "s", "", "miss"): 2,
            ("tool", "get", "s", "", "hit"): 4,
        }
        assert together.refusals.total("no_token", "") == 2
        whole = together.requests.of("tool", "get", "s", "", "hit")
        alone = gateway.watching.telemetry.requests.of("tool", "get", "s", "", "hit")
        assert whole.sum == pytest.approx(2 * alone.sum)
        assert (whole.min, whole.max) == (alone.min, alone.max)
        gauges = FleetGauges(lambda: [one, one], Numbers)
        (memory, disk), alone_states = gauges.tiers().values(), gateway.watching.gauges.tiers()
        assert (memory.entries, memory.limit) == (2 * alone_states["memory"].entries, 2 * alone_states["memory"].limit)
        assert disk.entries == 2 * alone_states["disk"].entries
        assert gauges.curves()["memory"].accesses == 2 * gateway.watching.gauges.curves()["memory"].accesses
        assert gauges.resident() > 2 * one.resident


def test_what_is_no_more_has_been_counted() -> None:
    """Counters of a process that ended stay in the sum; what was looked at went with it."""
    telemetry = Telemetry()
    telemetry.refusals.add("no_token", "")
    ended = Numbers(resident=5, cpu=2.0, counts={"refusals": {("no_token", ""): 3}})
    retired = added([Numbers(), ended])
    assert (retired.resident, retired.cpu) == (0, 2.0)
    fill(telemetry, [retired, ended])
    assert telemetry.refusals.total("no_token", "") == 6


def test_a_time_is_that_of_the_slowest_worker() -> None:
    """Slots and waits of an upstream are added up, and how long its answers take is not."""
    parts = [
        Numbers(
            upstreams={"api": UpstreamState(1, 0, 0, 5, 0, breaker_open=open_, trips=0, limit=4, answer_p95=seconds)}
        )
        for open_, seconds in ((False, 0.2), (True, 0.5))
    ]
    state = FleetGauges(lambda: parts, Numbers).upstreams()["api"]
    assert (state.under_way, state.limit, state.breaker_open, state.answer_p95) == (2, 8, True, 0.5)
