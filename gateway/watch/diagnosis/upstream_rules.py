"""Rules about upstreams: slow ones, retries, waiting for slots and tokens, batches, breakers."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.profile import Profile
from gateway.profile.units import format_duration
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.mcp import McpUpstream
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.search import SearchUpstream
from gateway.telemetry.series import UPSTREAM_FAILURES, UpstreamSample
from gateway.watch.diagnosis.changes import Change, change, living, merged
from gateway.watch.diagnosis.model import Facts, Issue

_ENOUGH = 20
"""Questions to an upstream below which a percentile says little."""
_SLOW = 1.0
"""Seconds at the 95th percentile, where no alert says what is slow."""
_TAIL = 5
"""Times the median: where the 95th percentile is more, a few are slow, and not all."""
_UNNOTICED = 0.005
"""Seconds that a batch may wait for nothing."""


def slow_upstream(facts: Facts) -> Iterator[Issue]:
    """An upstream that takes long: always, or now and then. Not one that fails, or waits for our own limits."""
    limit = facts.profile.alerts.upstream_response_time.warning or _SLOW
    for name, section in _asked(facts):
        timings = facts.window.upstream(name)
        if timings.count < _ENOUGH or timings.percentile(0.95) < limit or _waited(facts, name) or _fails(facts, name):
            continue
        p50, p95 = timings.percentile(0.5), timings.percentile(0.95)
        evidence = f"{timings.count} questions took {p50:.2g} s at the median and {p95:.2g} s at the 95th percentile"
        after = max(round(p50 * 2, 3), 0.001)
        longest = min(section.try_timeout or section.timeout, section.timeout)
        if p95 > _TAIL * p50 and _may_hedge(section) and after < longest:
            evidence += ": a few take long"
            advice = "send a second request when the first takes long; it costs some requests more"
            fix = change(format_duration(after), "upstreams", name, "hedge", "after")
        else:
            fix = _longer_stale(facts.profile, name)
            advice = "serve the old answer for longer while a new one is fetched, so that fewer callers wait for it"
            if not fix:
                advice = "old answers are served meanwhile; warm what is asked for most, or see to the upstream"
        worth = min(100.0, 100 * timings.sum / max(facts.window.seconds, 1.0))
        yield Issue("slow_upstream", name, evidence, advice, worth, fix)


def retry_storm(facts: Facts) -> Iterator[Issue]:
    """An upstream that fails so often that the retries alone are a load."""
    for name, section in _asked(facts):
        sent, extra = facts.window.upstream_requests(name)
        failed, ended = _ends(facts, name)
        if sent < 5 or extra < max(1.0, sent * section.retry_budget * 0.5) or failed * 2 < ended:
            continue
        less: dict[str, object] = {"retries": min(1, section.retries)}
        less["breaker"] = {"enabled": True, "failures": min(3, section.breaker.failures)}
        yield Issue(
            "retry_storm",
            name,
            f"{extra} retries beside {sent} requests, and {failed} of {ended} questions failed anyway",
            "try again less often: an upstream that is down does not come back for it, and callers wait",
            min(100.0, 100 * extra / sent),
            change(less, "upstreams", name),
        )


def pool_exhausted(facts: Facts) -> Iterator[Issue]:
    """Requests that wait for a slot, of an upstream that answers."""
    for name, section in _asked(facts):
        queued = max((sample.queued for sample in _samples(facts, name)), default=0)
        pooled = not isinstance(section, McpUpstream) or section.url is not None
        slots = min(section.max_concurrent, section.pool.max_connections) if pooled else section.max_concurrent
        if queued < slots or _fails(facts, name):
            continue
        wider: dict[str, object] = {"max_concurrent": max(section.max_concurrent, slots * 2)}
        if pooled:
            wider["pool"] = {"max_connections": max(section.pool.max_connections, slots * 2)}
        yield Issue(
            "pool_exhausted",
            name,
            f"up to {queued} requests waited for one of {slots} slots",
            "allow twice as many at once, if the upstream stands it",
            100 * queued / (queued + slots),
            change(wider, "upstreams", name),
        )


def throttled(facts: Facts) -> Iterator[Issue]:
    """Requests that wait for a token of the rate limit."""
    for name, section in _asked(facts):
        waiting = max((sample.throttled for sample in _samples(facts, name)), default=0)
        if not waiting:
            continue
        limit = section.rate_limit
        yield Issue(
            "throttled",
            name,
            f"up to {waiting} requests waited for a token of {limit.max} in {format_duration(limit.window)}",
            "raise the limit if the upstream allows more; else let answers live longer",
            min(100.0, 10.0 + waiting),
            change(limit.max * 2, "upstreams", name, "rate_limit", "max"),
        )


def batch_window(facts: Facts) -> Iterator[Issue]:
    """Batches that hardly ever have company: each request waits for nothing."""
    for name, section in facts.profile.upstreams.items():
        state = facts.upstreams.get(name)
        if not isinstance(section, HttpUpstream) or section.batch is None or state is None:
            continue
        window = section.batch.window
        if state.batches < _ENOUGH or window <= _UNNOTICED or state.batched >= state.batches * 1.5:
            continue
        yield Issue(
            "batch_window",
            name,
            f"{state.batches} batches had {state.batched / state.batches:.1f} requests on average, "
            f"and each waited {format_duration(window)} for others",
            "wait for a tenth of that: what comes at the same time still goes together",
            min(100.0, 100 * window),
            change(format_duration(round(window / 10, 4)), "upstreams", name, "batch", "window"),
        )


def open_breaker(facts: Facts) -> Iterator[Issue]:
    """An upstream that nothing is sent to, while nothing old may stand in for it."""
    for name, _ in _asked(facts):
        state = facts.upstreams.get(name)
        if state is None or not state.breaker_open:
            continue
        strategies = facts.profile.strategies
        bare = [each for each in _strategies(facts.profile, name) if strategies[each].stale_if_error == 0]
        outcomes = facts.window.upstream_outcomes(name)
        yield Issue(
            "open_breaker",
            name,
            f"its breaker is open, {outcomes['unavailable']} questions got no answer and {outcomes['not_asked']} were "
            "not sent",
            "let old answers stand in for it" if bare else "old answers stand in for it; see to the upstream",
            90.0 if bare else 50.0,
            merged(change("24h", "strategies", strategy, "stale_if_error") for strategy in bare),
        )


def _asked(facts: Facts) -> Iterator[tuple[str, Politeness]]:
    for name, section in facts.profile.upstreams.items():
        if isinstance(section, Politeness):
            yield name, section


def _samples(facts: Facts, name: str) -> list[UpstreamSample]:
    return [sample.upstreams[name] for sample in facts.window.samples if name in sample.upstreams]


def _waited(facts: Facts, name: str) -> bool:
    return any(sample.queued or sample.throttled for sample in _samples(facts, name))


def _ends(facts: Facts, name: str) -> tuple[int, int]:
    """How many questions to the upstream failed, and how many there were."""
    outcomes = facts.window.upstream_outcomes(name)
    return sum(outcomes[word] for word in UPSTREAM_FAILURES), sum(outcomes.values())


def _fails(facts: Facts, name: str) -> bool:
    failed, ended = _ends(facts, name)
    return failed * 2 >= ended > 0


def _may_hedge(section: Politeness) -> bool:
    """Whether a second request is cheap, and could be sent: a package is large, and not every MCP tool only reads."""
    return isinstance(section, HttpUpstream) and section.hedge is None and section.max_concurrent > 1


def _longer_stale(profile: Profile, upstream: str) -> Change:
    """Lets what is read from the upstream be served stale for as long as it was fresh, where it is less."""
    longer = []
    for name in _strategies(profile, upstream):
        fresh = living(profile, name)
        if profile.strategies[name].stale_while_revalidate < fresh:
            longer.append(change(format_duration(fresh), "strategies", name, "stale_while_revalidate"))
    return merged(longer)


def _strategies(profile: Profile, upstream: str) -> list[str]:
    """The strategies under which answers made of the upstream's are kept."""
    searches = {
        name: each
        for name, each in profile.upstreams.items()
        if isinstance(each, SearchUpstream) and upstream in (each.upstream, each.listing and each.listing.upstream)
    }
    names = {each.strategy for each in searches.values()}
    for tool in profile.tools.values():
        if tool.annotations.read_only and any(
            fetch.upstream in (upstream, *searches) for fetch in tool.documents.values()
        ):
            names.add(tool.strategy)
    section = profile.upstreams[upstream]
    if isinstance(section, McpUpstream):
        own = (section.strategy, *(tool.strategy for tool in section.tools.values()))
        names |= {strategy for strategy in own if strategy is not None}
    return sorted(names)
