"""How the gateway does, by HTTP: what the dashboard and `gateway top` show."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quart import Blueprint
from quart_schema import validate_querystring, validate_response

from gateway import __version__
from gateway.profile.effective import effective
from gateway.serving.admin.overview_shapes import (
    Overview,
    ProcessOverview,
    ProfileAnswer,
    TierOverview,
    Timing,
    ToolOverview,
    ToolsAnswer,
    UpstreamOverview,
    WindowQuery,
)
from gateway.serving.admin.seen import Seen
from gateway.telemetry.histogram import Histogram, combined
from gateway.telemetry.series import ANSWERED_FROM_CACHE, CACHEABLE, FAILURES, UPSTREAM_FAILURES, Window
from gateway.watch.gauges import TierState, UpstreamState


def overview_routes(gateway: Seen, ready: Callable[[], bool]) -> Blueprint:
    """`/api/overview`, `/api/tools` and `/api/profile`."""
    routes = Blueprint("overview", __name__, url_prefix="/api")

    @routes.get("/overview")
    @validate_querystring(WindowQuery)
    @validate_response(Overview)
    async def now(query_args: WindowQuery) -> Overview:
        """The last samples in numbers."""
        return overview(gateway, query_args.window, ready=ready())

    @routes.get("/tools")
    @validate_response(ToolsAnswer)
    async def called() -> ToolsAnswer:
        """What was called, and what it cost."""
        return ToolsAnswer(tools=tools(gateway))

    @routes.get("/profile")
    @validate_response(ProfileAnswer)
    async def profile() -> ProfileAnswer:
        """What the gateway runs on."""
        loaded = gateway.loaded
        if loaded is None:  # made of a profile that no file holds
            return ProfileAnswer(name="", files=[], toml="", warnings=[])
        return ProfileAnswer(
            name=loaded.name,
            files=[str(file) for file in loaded.files],
            toml=effective(loaded, origins=True),
            warnings=[str(warning) for warning in loaded.warnings],
        )

    return routes


def overview(gateway: Seen, seconds: float, *, ready: bool) -> Overview:
    """The last `seconds` in numbers."""
    watching = gateway.watching
    window = watching.series.window(seconds)
    requests, last = window.requests, window.last
    return Overview(
        name=gateway.profile.server.title or gateway.profile.server.name,
        profile=gateway.loaded.name if gateway.loaded is not None else "",
        version=__version__,
        uptime=watching.gauges.uptime,
        ready=ready,
        window=window.seconds,
        throughput=window.throughput,
        hit_rate=window.hit_rate,
        error_rate=window.error_rate,
        timing=Timing.of(requests.summary()),
        outcomes=dict(window.outcomes),
        process=ProcessOverview(
            memory=watching.gauges.resident(),
            cpu=window.cpu,
            lag=window.lag,
            descriptors=watching.gauges.descriptors()[0],
            disk_free=last.process.disk_free if last is not None else None,
        ),
        tiers={name: _tier(name, state, window) for name, state in watching.gauges.tiers().items()},
        upstreams=_upstreams(watching.gauges.upstreams(), window),
        alerts=len(watching.alerting.raised),
    )


def tools(gateway: Seen) -> list[ToolOverview]:
    """Every tool that was called since the start, those that took the most time first."""
    family = gateway.watching.telemetry.requests
    by_tool: dict[tuple[str, str], dict[str, list[Histogram]]] = {}
    for (kind, name, strategy, outcome), timings in family.by("kind", "name", "strategy", "outcome").items():
        if kind == "tool" and name:
            by_tool.setdefault((name, strategy), {}).setdefault(outcome, []).extend(timings)
    merged: dict[str, tuple[str, dict[str, Histogram]]] = {}
    for (name, strategy), outcomes in by_tool.items():
        _, whole = merged.setdefault(name, (strategy, {}))
        if strategy:
            merged[name] = (strategy, whole)
        for outcome, timings in outcomes.items():
            before = [whole[outcome]] if outcome in whole else []
            whole[outcome] = combined([*before, *timings])
    found = [_tool(name, strategy, outcomes) for name, (strategy, outcomes) in merged.items()]
    return sorted(found, key=lambda tool: -tool.seconds)


def _tool(name: str, strategy: str, outcomes: Mapping[str, Histogram]) -> ToolOverview:
    counts = {outcome: timing.count for outcome, timing in outcomes.items()}
    hits = sum(counts.get(word, 0) for word in ANSWERED_FROM_CACHE)
    asked = sum(counts.get(word, 0) for word in CACHEABLE)
    hit = combined(outcomes[word] for word in ANSWERED_FROM_CACHE if word in outcomes)
    miss = combined(outcomes[word] for word in ("miss", "passed") if word in outcomes)
    return ToolOverview(
        name=name,
        strategy=strategy,
        calls=sum(counts.values()),
        hit_rate=hits / asked if asked else None,
        failed=sum(counts.get(word, 0) for word in FAILURES),
        refused=counts.get("refused", 0),
        hit=hit.percentile(0.5) if hit.count else None,
        miss=miss.percentile(0.5) if miss.count else None,
        seconds=sum(timing.sum for timing in outcomes.values()),
    )


def _tier(name: str, state: TierState, window: Window) -> TierOverview:
    return TierOverview(
        hit_rate=window.tier_hit_rate(name),
        entries=state.entries,
        size=state.size,
        limit=state.limit,
        evictions=window.evictions(name),
    )


def _upstreams(states: Mapping[str, UpstreamState], window: Window) -> dict[str, UpstreamOverview]:
    asked = {name for sample in window.samples for name in sample.upstreams}
    idle = UpstreamState(0, 0, 0, 0, 0, False, 0)
    found = {}
    for name in sorted(asked | set(states)):
        state, timings, outcomes = states.get(name, idle), window.upstream(name), window.upstream_outcomes(name)
        found[name] = UpstreamOverview(
            p95=timings.percentile(0.95) if timings.count else None,
            answer_p95=state.answer_p95 or None,
            asked=timings.count,
            failed=sum(outcomes[word] for word in UPSTREAM_FAILURES),
            under_way=state.under_way,
            limit=state.limit,
            waits=state.waits,
            queued=state.queued,
            throttled=state.throttled,
            retried=window.upstream_requests(name)[1],
            breaker_open=state.breaker_open,
        )
    return found
