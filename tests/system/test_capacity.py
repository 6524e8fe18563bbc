"""`gateway capacity` from a load test of a gateway that runs, and from what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.processes import NOWHERE, Ended, run
from tests.system.watched import Watched, watched

NUMBERS = list(range(400))
LOAD = f"""
[[load.calls]]
tool = "item"
vary = {{ number = {{ values = {NUMBERS} }} }}
"""


async def capacity(folder: Path, *arguments: str) -> Ended:
    """The command, for ten times what the load test reached."""
    return await run(folder, "capacity", "--report", "load.json", *arguments, "--profile", "./watched.toml")


async def loaded(folder: Path, gateway: Watched) -> float:
    """Put load on the gateway; requests a second."""
    arguments = ("--url", gateway.process.url, "-n", "3000", "-c", "8", "--report", "load.json")
    ended = await run(folder, "load", *arguments, "--profile", "./watched.toml")
    assert (folder / "load.json").exists(), ended.err
    return float(json.loads((folder / "load.json").read_text())["requests_per_second"])


async def test_a_plan_of_what_was_measured(tmp_path: Path) -> None:
    """Instances, tiers and upstreams follow from the report and the gateway, and what is saved gives the same plan."""
    async with watched(tmp_path, "[cache.memory]\nmax_size = '100KB'\n" + LOAD, calls=0) as gateway:
        rate = await loaded(tmp_path, gateway)
        target = f"--target-rps={rate * 6.9:.3f}"
        ended = await capacity(tmp_path, target, "--url", gateway.process.admin, "--save", "seen.json", "--json")
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    assert (plan["instances"]["needed"], plan["instances"]["spare"]) == (10, 1)
    assert plan["target"]["shares"] == {"item": 1.0}
    (memory,) = (tier for tier in plan["tiers"] if tier["tier"] == "memory")
    assert (memory["now"], memory["size"]) == (100_000, 400_000)
    assert plan["change"]["cache"]["memory"]["max_size"] == "400KB"
    (items,) = plan["upstreams"]
    assert items["upstream"] == "items"
    assert 0 < items["rps"] < rate * 6.9
    assert items["under_way"] > 0
    assert plan["change"]["upstreams"]["items"]["rate_limit"]["max"] > 1000
    told = await capacity(tmp_path, target, "--from", "seen.json")
    words = " ".join(told.out.split())
    assert told.code == 0
    assert words.startswith(
        f"For {float(f'{rate * 6.9:.3f}'):g} requests a second (item 100%): 11 instances, 10 of them"
    )
    assert "L1 of 400KB each, 100KB now" in words
    assert "Lines of the profile to write" in words
    assert 'max_size = "400KB"' in words
    over = await capacity(tmp_path, target, "--from", "seen.json", "--instances-max", "10")
    assert (over.code, over.err) == (1, "gateway: it takes 11 instances, and --instances-max is 10\n")


async def test_a_report_alone_tells_the_instances(tmp_path: Path) -> None:
    """Where no gateway runs the rest is unknown, and told to be."""
    async with watched(tmp_path, LOAD, calls=0) as gateway:
        await loaded(tmp_path, gateway)
    ended = await capacity(tmp_path, "--target-rps", "1", "--spare", "0", "--set", "admin.enabled=false")
    assert ended.code == 0, ended.err
    assert "1 instances, 1 of them needed" in ended.out
    assert "no gateway was asked" in ended.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--tools", "itme"), "there is no tool itme in the profile, did you mean item?"),
        (("--tools", "item=0"), "--tools: expected NAME or NAME=SHARE, more than 0, found 'item=0'"),
        (("--tools", "item=nan"), "--tools: expected NAME or NAME=SHARE, more than 0, found 'item=nan'"),
        (("--from", "nothing.json"), "can't read nothing.json: No such file or directory"),
        (("--from", "load.json"), "load.json: expected what gateway capacity --save wrote, found "),
        (
            ("--from", "load.json", "--url", NOWHERE),
            "--from and --url name two sources: one can be planned with at a time",
        ),
        (("--url", NOWHERE), f"no gateway answers at {NOWHERE}: "),
        (("--report", "p.toml"), "p.toml: expected a report of gateway load --report, found no JSON"),
        (("--save", "no/where.json"), "can't write no/where.json: "),
    ],
)
async def test_what_can_not_be_planned_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """With exit code 1, and what is wrong."""
    report = {
        "kind": "load",
        "requests_per_second": 100.0,
        "success_rate": 1.0,
        "latency": {"p99": 0.01},
        "tools": {"item": {"requests": 10}},
        "loop": "closed",
        "cut_short": False,
    }
    (tmp_path / "load.json").write_text(json.dumps(report))
    (tmp_path / "p.toml").write_text(
        '[strategies.s]\nttl = "1h"\n[tools.item]\ndescription = "d"\nstrategy = "s"\nresult.select = "\'x\'"\n'
    )
    known = () if "--report" in arguments else ("--report", "load.json")
    ended = await run(tmp_path, "capacity", "--target-rps", "10", *known, *arguments, "--profile", "./p.toml")
    assert ended.code == 1
    assert ended.err.startswith(f"gateway: {sentence}")
    assert ended.err.count("\n") == 1
