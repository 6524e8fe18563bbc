"""Plans against numbers that were worked out by hand; each test says them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.profile.profile import Profile
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.capacity.model import Measured, Seen, Target, TierSeen, ToolSeen, UpstreamSeen
from gateway.watch.capacity.planning import instances_of, plan
from gateway.watch.capacity.reading import measured_of, saved, seen_in

MB = 1_000_000
PROFILE = Profile.model_validate(
    {
        "cache": {"memory": {"max_size": "100MB"}, "disk": {"max_size": "1GB"}},
        "strategies": {"s": {"ttl": "1h"}},
        "upstreams": {
            "api": {"type": "http", "base_url": "https://example.org", "rate_limit": {"max": 1000, "window": "60s"}},
            "other": {"type": "http", "base_url": "https://example.org"},
            "index": {"type": "search", "upstream": "other", "strategy": "s", "documents": [{"path": "**"}]},
        },
        "tools": {
            name: {"description": "d", "strategy": "s", "fetch": {"upstream": upstream, "path": "x"}}
            for name, upstream in (("a", "api"), ("b", "api"), ("c", "other"), ("find", "index"))
        },
    }
)
TARGET = Target(2000.0, {"a": 1.0})
MEASURED = Measured(1000.0, 0.02, 1.0, {"a": 1.0}, open_loop=False, cut_short=False)


def curve(size: int, *rates: float, accesses: int = 100_000) -> Curve:
    points = zip((0.5, 1.0, 2.0, 4.0), rates, strict=True)
    return Curve(tuple(CurvePoint(factor, int(size * factor), rate) for factor, rate in points), accesses, 1.0, 1.0)


SEEN = Seen(
    uptime=3600.0,
    tools={"a": ToolSeen(10_000, 0.8)},
    upstreams={"api": UpstreamSeen(4000, 0.05)},
    tiers={
        "memory": TierSeen(100 * MB, 50_000, 0.6, curve(100 * MB, 0.5, 0.6, 0.75, 0.755)),
        "disk": TierSeen(1000 * MB, 50_000, 0.5, curve(1000 * MB, 0.495, 0.5, 0.5, 0.5)),
    },
)


def test_instances_carry_what_one_process_did_less_the_headroom() -> None:
    """1000 x 0.7 = 700; 2000 / 700 = 2.86: 3, and one to spare."""
    made = instances_of(TARGET, MEASURED)
    assert (made.needed, made.whole) == (3, 4)
    assert made.each == pytest.approx(700.0)
    assert made.arithmetic == (
        "1000/s of one process (p99 20 ms) x (1 - 0.3) = 700/s; 2000 / 700 = 2.86, so 3, and 1 to spare"
    )
    exact = instances_of(Target(700.0, {"a": 1.0}, spare=0), MEASURED)
    assert (exact.needed, exact.whole) == (1, 1)


def test_tiers_are_the_smallest_within_a_point_of_the_best() -> None:
    """75.5% at 400 MB is the best, 75% at 200 MB will do; on the disk half will do as well."""
    made = plan(PROFILE, TARGET, MEASURED, SEEN)
    assert [(tier.tier, tier.size, tier.hit_rate) for tier in made.tiers] == [
        ("memory", 200 * MB, 0.75),
        ("disk", 500 * MB, 0.495),
    ]
    assert made.tiers[0].arithmetic == "75.0% at 200MB is within 1% of the best, 75.5% at 400MB"


def test_what_no_tier_has_reaches_the_upstream() -> None:
    """Missed before 0.4 x 0.5 = 0.2, planned 0.4 x 0.505 = 0.202; 2000 x 0.2 x 1.01 x 2 questions = 808 a second."""
    (upstream,) = plan(PROFILE, TARGET, MEASURED, SEEN).upstreams
    assert upstream.rps == pytest.approx(808.0)
    assert upstream.under_way == pytest.approx(808 * 0.05)
    assert upstream.of_slots == pytest.approx(40.4 / 3 / 50)
    assert upstream.of_rate_limit == pytest.approx(808 * 60 / 3 / 1000)
    assert upstream.quota == "48480 in 1m"
    assert upstream.arithmetic[1] == (
        "at once (Little's law): 808/s x 0.05 s at the p95 = 40.4, 13.5 of 50 slots on each of 3"
    )


def test_a_larger_memory_tier_takes_hits_from_the_disk() -> None:
    """The disk misses 0.1 of 0.4 = 0.04 whatever the memory tier; but no more than a memory tier of 98% leaves."""
    tiers = {
        "memory": TierSeen(100 * MB, 100, 0.6, curve(100 * MB, 0.5, 0.6, 0.98, 0.98)),
        "disk": TierSeen(1000 * MB, 100, 0.9, curve(1000 * MB, 0.9, 0.9, 0.9, 0.9)),
    }
    made = plan(PROFILE, TARGET, MEASURED, replace(SEEN, tiers=tiers))
    assert made.missed is not None
    assert made.missed.endswith("the lesser of 1 - 0.980 and (1 - 0.600) x (1 - 0.900) = 0.0200")
    assert made.upstreams[0].rps == pytest.approx(2000 * 0.2 * 0.5 * 2)


def test_the_lines_to_write_are_those_that_differ() -> None:
    """rate_limit.max = 808 / 3 x 60 / 0.7 = 23086; 20 at once have slots already."""
    made = plan(PROFILE, TARGET, MEASURED, SEEN)
    assert made.change == {
        "cache": {"memory": {"max_size": "200MB", "max_items": 100_000}, "disk": {"max_size": "500MB"}},
        "upstreams": {"api": {"rate_limit": {"max": 23086}}},
    }


def test_workers_share_the_tiers_of_an_instance() -> None:
    """What was seen is of both, and the profile's line is of each: 200 MB are twice the 100 MB that it has."""
    two = PROFILE.model_copy(update={"server": PROFILE.server.model_copy(update={"workers": 2})})
    made = plan(two, TARGET, MEASURED, SEEN)
    assert made.tiers[0].size == 200 * MB
    assert made.change["cache"] == {"disk": {"max_size": "250MB"}}


def test_a_slow_upstream_takes_slots_and_connections() -> None:
    """808 a second for 2 s are 1616 at once: 770 for each of three with headroom."""
    slow = replace(SEEN, upstreams={"api": UpstreamSeen(4000, 2.0)})
    change = plan(PROFILE, TARGET, MEASURED, slow).change["upstreams"]["api"]
    assert (change["max_concurrent"], change["pool"]["max_connections"]) == (770, 770)


def test_memory_thresholds_go_with_a_larger_tier() -> None:
    """A tier of 400 MB and 150 MB of the process are more than monitors.memory allows."""
    tiers = {"memory": TierSeen(100 * MB, 100, 0.6, curve(100 * MB, 0.5, 0.6, 0.7, 0.9))}
    made = plan(PROFILE, TARGET, MEASURED, replace(SEEN, tiers=tiers))
    assert made.change["monitors"]["memory"] == {"warning": "550MB", "critical": "660MB"}
    assert any("still rises at 400MB" in guess for guess in made.guesses)


def test_a_curve_of_few_reads_changes_nothing() -> None:
    """The tier stays, and its present hit rate counts."""
    few = TierSeen(100 * MB, 50_000, 0.6, curve(100 * MB, 0.1, 0.6, 0.9, 0.9, accesses=49_999))
    made = plan(PROFILE, TARGET, MEASURED, replace(SEEN, tiers={"memory": few}))
    assert made.tiers == ()
    assert "cache" not in made.change
    assert made.missed == "missed now: (1 - 0.600) = 0.4000; as planned: (1 - 0.600) = 0.4000"
    assert (
        "the memory tier's curve rests on 49999 reads of the 50000 that it takes: it stays at 100MB, and what another "
        "size would do is unknown"
    ) in made.guesses


def test_several_tools_of_an_upstream_share_what_a_miss_asks() -> None:
    """5000 misses asked 10000 questions, two each; 1000 x 0.2 + 1000 x 0.3 = 500 misses a second."""
    seen = Seen(
        3600.0, {"a": ToolSeen(10_000, 0.8), "b": ToolSeen(10_000, 0.7)}, {"api": UpstreamSeen(10_000, 0.1)}, {}
    )
    (upstream,) = plan(PROFILE, Target(2000.0, {"a": 0.5, "b": 0.5}), MEASURED, seen).upstreams
    assert upstream.rps == pytest.approx(1000.0)


def test_a_search_asks_the_upstream_that_it_reads() -> None:
    """A tool that searches is a tool of the upstream whose documents are searched."""
    seen = Seen(3600.0, {"find": ToolSeen(1000, 0.5)}, {"other": UpstreamSeen(50, 0.1)}, {})
    (upstream,) = plan(PROFILE, Target(100.0, {"find": 1.0}), MEASURED, seen).upstreams
    assert upstream.upstream == "other"
    assert upstream.rps == pytest.approx(100 * 0.5 * 0.1)


@pytest.mark.parametrize(
    ("target", "measured", "seen", "guess"),
    [
        (TARGET, replace(MEASURED, open_loop=True), SEEN, "one process may do more than 1000/s"),
        (TARGET, replace(MEASURED, cut_short=True), SEEN, "the load test was cut short"),
        (TARGET, replace(MEASURED, success_rate=0.9), SEEN, "only 90.0% of the load test's requests"),
        (TARGET, replace(MEASURED, shares={"b": 1.0}), SEEN, "another mix (b 100%): 100% of it was for other tools"),
        (TARGET, MEASURED, replace(SEEN, uptime=60.0), "has run for 60 s"),
        (TARGET, MEASURED, None, "no gateway was asked"),
        (Target(2000.0, {"c": 1.0}), MEASURED, SEEN, "upstream other was not asked yet"),
        (Target(2000.0, {"b": 1.0}), MEASURED, SEEN, "tool b was not called yet"),
        (Target(2000.0, {"x": 1.0}), MEASURED, SEEN, "tool x is another server's"),
        (TARGET, MEASURED, replace(SEEN, upstreams={"api": UpstreamSeen(19, None)}), "gave too few answers"),
        (
            TARGET,
            MEASURED,
            replace(SEEN, upstreams={"api": UpstreamSeen(100, 0.1, 6)}),
            "6 of 100 questions to api waited",
        ),
        (TARGET, MEASURED, replace(SEEN, tiers={"memory": TierSeen(MB, 0, None, None)}), "tier has no curve"),
    ],
)
def test_what_was_not_measured_is_told(target: Target, measured: Measured, seen: Seen | None, guess: str) -> None:
    """Each of these makes a plan a guess, and says so."""
    made = plan(PROFILE, target, measured, seen)
    assert any(guess in each for each in made.guesses), made.guesses


def test_a_sound_measurement_leaves_one_guess() -> None:
    """That several caches are not one."""
    (guess,) = plan(PROFILE, TARGET, MEASURED, SEEN).guesses
    assert guess.startswith("each instance has a cache of its own")


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e5), st.floats(0, 0.95))
def test_the_instances_suffice_and_one_fewer_would_not(rps: float, each: float, headroom: float) -> None:
    """Whatever the numbers."""
    made = instances_of(Target(rps, {"a": 1.0}, headroom), replace(MEASURED, rps=each))
    room = each * (1 - headroom)
    assert made.needed * room >= rps * (1 - 1e-6)
    assert made.needed == 1 or (made.needed - 1) * room < rps
    assert math.isclose(made.each, room)


def test_what_a_gateway_said_is_the_same_when_it_was_saved() -> None:
    """To the last digit."""
    assert seen_in(saved(SEEN), "seen.json") == SEEN


REPORT: dict[str, Any] = {
    "kind": "load",
    "requests_per_second": 250.5,
    "success_rate": 0.999,
    "latency": {"p99": 0.031, "p50": 0.01},
    "tools": {"a": {"requests": 30}, "b": {"requests": 10}, "c": {"requests": 0}},
    "loop": "open",
    "cut_short": False,
}


def test_a_load_report_is_read() -> None:
    """Its rate, its p99 and its mix."""
    assert measured_of(orjson.dumps(REPORT), "load.json") == Measured(
        250.5, 0.031, 0.999, {"a": 0.75, "b": 0.25}, open_loop=True, cut_short=False
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"no json", "no JSON"),
        (b"[]", "the whole: "),
        (orjson.dumps({**REPORT, "kind": "bench"}), "kind: input should be 'load'"),
        (orjson.dumps({**REPORT, "requests_per_second": 0}), "requests_per_second: input should be greater than 0"),
        (orjson.dumps({**REPORT, "latency": {}}), "latency.p99: field required"),
    ],
)
def test_what_is_no_load_report_is_refused(content: bytes, found: str) -> None:
    """With the file, what it should be and what it is."""
    with pytest.raises(GatewayError) as refused:
        measured_of(content, "load.json")
    assert str(refused.value).startswith(f"load.json: expected a report of gateway load --report, found {found}")


@pytest.mark.parametrize("content", [b"{}", b'{"kind": "gateway", "seen": {"uptime": 1}}', orjson.dumps(REPORT)])
def test_what_no_gateway_said_is_refused(content: bytes) -> None:
    """As far as its kind and its shape tell."""
    with pytest.raises(GatewayError, match=r"seen\.json: expected what gateway capacity --save wrote, found "):
        seen_in(content, "seen.json")
