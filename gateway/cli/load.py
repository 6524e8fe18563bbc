"""`gateway load`: load on an MCP server, what came of it, and whether that will do."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import trio
from cyclopts import Parameter
from rich.console import Console

from gateway.atomic import write_atomically
from gateway.cli.exits import FAILED, INTERRUPTED
from gateway.cli.load_output import page, show_progress, tables
from gateway.cli.options import DEFAULT_PROFILE, Headers, Overrides, ProfileName, headers_of
from gateway.cli.run import cancel_on_signal, run
from gateway.cli.run import load as load_profile
from gateway.errors import GatewayError
from gateway.loading.mix import Mix, mix_of, uniform_mix
from gateway.loading.model import Target
from gateway.loading.opening import open_http
from gateway.loading.process import open_stdio
from gateway.loading.result import Result, result_of
from gateway.loading.running import LoadTest
from gateway.loading.verdict import verdict
from gateway.profile.profile import Profile
from gateway.serving.hosts import url_of
from gateway.watch.warmer import warm_calls

_PATIENCE = 10.0
"""Seconds for a server to be reached, and to answer the first question."""
_OWN_FILES = 64
"""File descriptors beside those of connections."""


@dataclass(frozen=True, slots=True)
class _Where:
    """Which server, and where the result goes."""

    url: str | None
    command: str | None
    headers: Mapping[str, str]
    ca: Path | None
    as_json: bool
    report: Path | None
    html: Path | None


def load(
    *,
    url: Annotated[str | None, Parameter(help="The address of an MCP server; by default this profile's own.")] = None,
    command: Annotated[str | None, Parameter(help="A command that serves MCP over stdio, in its place.")] = None,
    connections: Annotated[int | None, Parameter(name=["--connections", "-c"], help="load.connections")] = None,
    requests: Annotated[int | None, Parameter(name=["--requests", "-n"], help="load.requests")] = None,
    duration: Annotated[str | None, Parameter(name=["--duration", "-d"], help="load.duration, such as 30s")] = None,
    ramp: Annotated[str | None, Parameter(help="load.ramp")] = None,
    delay: Annotated[str | None, Parameter(help="load.delay")] = None,
    rate: Annotated[float | None, Parameter(help="load.rate: an open loop of so many requests a second")] = None,
    warm_up: Annotated[str | None, Parameter(help="load.warm_up")] = None,
    timeout: Annotated[str | None, Parameter(help="load.timeout")] = None,
    era: Annotated[Literal["auto", "modern", "handshake"] | None, Parameter(help="load.era")] = None,
    header: Headers = (),
    ca: Annotated[Path | None, Parameter(help="The certificates to trust for https, in PEM.")] = None,
    json: Annotated[bool, Parameter(negative="", help="Print the result as JSON.")] = False,
    report: Annotated[Path | None, Parameter(help="Write it there as JSON, for gateway check --preflight.")] = None,
    html: Annotated[Path | None, Parameter(help="Write it there as one HTML file that needs nothing else.")] = None,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
) -> int:
    """Put load on an MCP server, and see how quickly and how well it answers.

    What is asked is [load] of the profile; options stand above its keys. The thresholds are alerts.response_time (p95)
    and alerts.error_rate: exits with 1 at or above `critical`, or `warning` where there is no critical. Ctrl-C ends the
    run early; what there is by then is told.
    """
    if url is not None and command is not None:
        raise GatewayError("--url and --command name two servers: one can be tested at a time")
    said = {
        "connections": connections,
        "requests": requests,
        "duration": duration,
        "ramp": ramp,
        "delay": delay,
        "rate": rate,
        "warm_up": warm_up,
        "timeout": timeout,
        "era": era,
    }
    overrides = [f"load.{key}={value}" for key, value in said.items() if value is not None]
    where = _Where(url, command, headers_of(header), ca, json, _file(report), _file(html))
    return run(partial(_load, load_profile(profile, (*set_, *overrides)).profile, where))


async def _load(profile: Profile, where: _Where) -> int:
    mix = _mix(profile)
    if where.command is None:
        _allow_descriptors(profile.load.connections)
    scope = trio.CancelScope()
    test: LoadTest | None = None
    about: dict[str, Any] = {}
    async with trio.open_nursery() as nursery:
        await nursery.start(cancel_on_signal, scope)
        with scope:
            async with _target(profile, where) as target:
                about = {"target": target.name, "era": target.era}
                test = LoadTest(target, mix, profile.load)
                async with trio.open_nursery() as watching:
                    if sys.stderr.isatty():
                        watching.start_soon(show_progress, test, profile.load)
                    await test.run()
                    watching.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    if test is None:
        return INTERRUPTED
    cut_short = scope.cancelled_caught
    result = result_of(test.tally, test.counted_seconds)
    judged = verdict(result, profile.alerts, cut_short=cut_short)
    document = {
        "kind": "load",
        "finished_at": time.time(),
        "passed": judged.passed,
        "summary": judged.summary,
        "cut_short": cut_short,
        **about,
        "loop": "closed" if profile.load.rate is None else "open",
        "settings": profile.load.model_dump(mode="json", exclude_none=True),
        **result.as_json(),
    }
    await _tell(document, result, where)
    return INTERRUPTED if cut_short else 0 if judged.passed else FAILED


async def _tell(document: dict[str, Any], result: Result, where: _Where) -> None:
    encoded = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    if where.as_json:
        sys.stdout.write(encoded.decode() + "\n")
    else:
        Console().print(tables(document, result), highlight=False)
    if where.report is not None:
        await _write(where.report, encoded)
    if where.html is not None:
        await _write(where.html, (await trio.to_thread.run_sync(page, document, result)).encode())


async def _write(path: Path, content: bytes) -> None:
    try:
        await trio.to_thread.run_sync(write_atomically, path, content)
    except OSError as error:
        raise GatewayError(f"can't write {path}: {error.strerror or error}") from None


@asynccontextmanager
async def _target(profile: Profile, where: _Where) -> AsyncIterator[Target]:
    """The server that is meant. Raises GatewayError where it can't be reached."""
    era = None if profile.load.era == "auto" else profile.load.era
    if where.command is not None:
        async with open_stdio(where.command, era, patience=_PATIENCE) as process:
            yield process
        return
    url = where.url or url_of(profile.server)
    ca = str(where.ca) if where.ca is not None else None
    async with open_http(url, era, headers=where.headers, ca=ca, patience=_PATIENCE) as server:
        yield server


def _mix(profile: Profile) -> Mix:
    if profile.load.calls:
        return mix_of(profile.load.calls)
    calls = list(warm_calls(profile.warm))
    if not calls:
        remedy = "add [[load.calls]] to the profile, or say --set 'load.calls=[{tool=\"NAME\"}]'"
        raise GatewayError(f"there is nothing to call: {remedy}")
    return uniform_mix(calls)


def _allow_descriptors(connections: int) -> None:
    """Raise the soft limit of file descriptors as far as it is needed. Raises GatewayError where it can't be."""
    needed = connections + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise GatewayError(
            f"{connections} connections need {needed} file descriptors, and {hard} are allowed (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _file(path: Path | None) -> Path | None:
    """A file that can be written, told before any load is made."""
    if path is not None and not path.absolute().parent.is_dir():
        raise GatewayError(f"can't write {path}: there is no folder {path.absolute().parent}")
    return path
