"""Every fault that a connection can have against every kind of upstream, in every state of the cache.

In every cell: the right answer or a clear sentence, never a hang, never a wrong value, and no more than 1.2 requests
for each one that was wanted.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.catalogue.result import CallResult
from gateway.profile.loader import load_profile
from tests.fakes import faults
from tests.system.faulty import KINDS, Behind, Case, Kind, document

pytestmark = pytest.mark.timeout(300)

_HANGS = 120.0
"""Seconds after which a call is taken to hang, also on a machine that does much else."""

CALLS = 20
"""In each cell, of as many documents: enough for a budget of a fifth to be more than the retries of one request."""

STATES = {
    "cold": "ttl = '1h'",
    "fresh": "ttl = '1h'",
    "stale": "ttl = '1us'\nstale_if_error = '1h'",
    "expired": "ttl = '1us'",
}

PROFILE = """
monitors.memory = {{ warning = "40GB", critical = "50GB" }}
[cache.disk]
enabled = false
[strategies.s]
{state}
[upstream_defaults]
{patience}
retry_delay = "20ms"
breaker = {{ enabled = {breaker}, ejection = "50ms", max_ejection = "50ms" }}
[federation]
pins = "{folder}/{name}"
"""

LATE = r"no answer within \S+ \(upstreams\.api\.(try_)?timeout\): "
"""A clear sentence, too, for any fault on a busy machine."""

PATIENT = "timeout = '60s'"
"""For faults that something comes through, however busy the machine is: no call runs out of time before it is sent."""


@asynccontextmanager
async def opened(kind: Kind, behind: Behind, case: Case, state: str, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway with the upstream, and a cache that will be in `state` when something was asked for."""
    patience = kind.impatient if case.silent else PATIENT
    # Where nothing stands in for the upstream, the worst: nothing but the budget holds the retries back.
    breaker = "true" if state == "stale" else "false"
    text = PROFILE.format(state=STATES[state], patience=patience, breaker=breaker, folder=folder, name=state)
    text += textwrap.dedent(behind.profile)
    (folder / f"{state}.toml").write_text(text)
    profile = load_profile(state, environ={}, cwd=folder, folders=[folder]).profile
    async with open_gateway(profile, {}) as gateway:
        yield gateway


async def ask(gateway: Gateway, numbers: range) -> dict[int, CallResult]:
    """Ask for many documents at once; a call that hangs fails the test."""
    results: dict[int, CallResult] = {}

    async def one(number: int) -> None:
        results[number] = await gateway.catalogue.call("get", {"number": number})

    with trio.fail_after(_HANGS):
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(one, number)
    return results


def value(result: CallResult) -> object:
    found = orjson.loads(result.payload)
    assert not found.get("isError"), found
    return found["structuredContent"]


async def cell(kind: Kind, case: Case, state: str, folder: Path) -> None:
    """All of one cell: fill the cache, break the connection, ask, and look at what came and what was sent."""
    async with kind.open(case) as behind, opened(kind, behind, case, state, folder) as gateway:
        numbers = range(CALLS)
        if state != "cold":
            await answered(gateway, numbers, phase=1)
        before, behind.phase = behind.requests(), 2
        await behind.set_fault(case.fault)
        results = await ask(gateway, numbers)
        sent = behind.requests() - before
        assert sent <= (0 if state == "fresh" else 1.2 * CALLS), f"{state}: {sent} requests"
        if kind.sends_each and state in ("cold", "expired") and case.fault is not None:
            assert sent >= CALLS  # each of them; but where nothing listens nothing can be counted
        for number, result in results.items():
            judge(case, state, number, result)
        await behind.set_fault(faults.none)
        # The fault is over: before long, what nobody asked for yet is answered.
        await answered(gateway, range(CALLS, CALLS + 5), phase=2)


async def answered(gateway: Gateway, numbers: range, phase: int) -> None:
    """Ask until every answer is there, and right; until then there may be sentences: after a fault it begins anew."""
    with trio.fail_after(_HANGS):
        while True:
            results = await ask(gateway, numbers)
            for number, result in results.items():
                assert result.is_error or value(result) == document(number, phase)
            if not any(result.is_error for result in results.values()):
                return
            await trio.sleep(0.05)


def judge(case: Case, state: str, number: int, result: CallResult) -> None:
    """The right answer, or a clear sentence where there may be one."""
    right = {
        "cold": [document(number, phase=2)],
        "fresh": [document(number, phase=1)],
        "stale": [document(number, phase=1), document(number, phase=2)],
        "expired": [document(number, phase=2)],
    }[state]
    if not result.is_error:
        assert value(result) in right
        assert case.sentence is None or state in ("fresh", "stale") or number % 2
        return
    said = result.message or ""
    assert state in ("cold", "expired"), f"{state}: {said}"
    assert case.sentence is not None, said
    assert re.match(f"api: ({case.sentence}|{LATE})", said), said
    assert len(said) < 400


@pytest.mark.parametrize(("kind", "fault"), [(name, fault) for name, kind in KINDS.items() for fault in kind.cases])
async def test_fault(kind: str, fault: str, tmp_path: Path) -> None:
    """The right answer or a clear sentence, whatever is cached, and hardly more requests than were wanted."""
    async with trio.open_nursery() as nursery:
        for state in STATES:
            nursery.start_soon(cell, KINDS[kind], KINDS[kind].cases[fault], state, tmp_path)
