"""Rules about upstreams: slow ones, retries, waiting for slots and tokens, batches, breakers."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.units import format_duration
from gateway.profile.upstreams.http import HttpUpstream
from gateway.profile.upstreams.policies import Politeness
from gateway.telemetry.series import UPSTREAM_FAILURES
from gateway.watch.diagnosis.model import Facts, Issue, change

_ENOUGH = 20
"""Questions to an upstream below which a percentile says little."""
_SLOW = 1.0
"""Seconds at the 95th percentile, where no alert says what is slow."""


def slow_upstream(facts: Facts) -> Iterator[Issue]:
    """An upstream that takes long: always, or now and then."""
    limit = facts.profile.alerts.upstream_response_time.warning or _SLOW
    for name, section in _asked(facts):
        timings = facts.window.upstream(name)
        if timings.count < _ENOUGH or timings.percentile(0.95) < limit:
            continue
        p50, p95 = timings.percentile(0.5), timings.percentile(0.95)
        evidence = f"{timings.count} questions took {p50:.2g} s at the median and {p95:.2g} s at the 95th percentile"
        worth = min(100.0, 100 * timings.sum / max(facts.window.seconds, 1.0))
        if p95 > 5 * p50 and section.hedge is None:
            after = format_duration(round(max(p50 * 2, 0.001), 3))
            yield Issue(
                "slow_upstream",
                name,
                f"{evidence}: a few take long",
                "send a second request when the first takes long; it costs some requests more",
                worth,
                change(after, "upstreams", name, "hedge", "after"),
            )
            continue
        used = sorted({tool.strategy for tool in facts.profile.tools.values() if _reads(tool, name)})
        longer = {
            strategy: {"stale_while_revalidate": format_duration(max(about.ttl, about.stale_while_revalidate * 2))}
            for strategy, about in facts.profile.strategies.items()
            if strategy in used
        }
        yield Issue(
            "slow_upstream",
            name,
            evidence,
            "serve the old answer for longer while a new one is fetched, so that fewer callers wait for it",
            worth,
            change(longer, "strategies") if longer else {},
        )


def retry_storm(facts: Facts) -> Iterator[Issue]:
    """An upstream that fails so often that the retries alone are a load."""
    for name, section in _asked(facts):
        sent, extra = facts.window.upstream_requests(name)
        outcomes = facts.window.upstream_outcomes(name)
        failed = sum(outcomes[word] for word in UPSTREAM_FAILURES)
        if sent < 5 or not extra or extra < sent * section.retry_budget * 0.5 or failed * 2 < sum(outcomes.values()):
            continue
        yield Issue(
            "retry_storm",
            name,
            f"{extra} retries beside {sent} requests, and {failed} of {sum(outcomes.values())} questions failed anyway",
            "try again less often: an upstream that is down does not come back for it, and callers wait",
            min(100.0, 100 * extra / sent),
            change({"retries": min(1, section.retries), "breaker": {"failures": 3}}, "upstreams", name),
        )


def pool_exhausted(facts: Facts) -> Iterator[Issue]:
    """Requests that wait for a slot, or are refused one."""
    for name, section in _asked(facts):
        state = facts.upstreams.get(name)
        queued = max((s.upstreams[name].queued for s in facts.window.samples if name in s.upstreams), default=0)
        refused = 0 if state is not None and state.breaker_open else facts.window.upstream_outcomes(name)["not_asked"]
        slots = min(section.max_concurrent, section.pool.max_connections)
        if queued < slots and not (refused and queued):
            continue
        yield Issue(
            "pool_exhausted",
            name,
            f"up to {queued} requests waited for one of {slots} slots, and {refused} were refused",
            "allow twice as many at once, if the upstream stands it",
            min(100.0, 100 * queued / (queued + slots)),
            change(
                {
                    "max_concurrent": slots * 2,
                    "pool": {"max_connections": max(section.pool.max_connections, slots * 2)},
                },
                "upstreams",
                name,
            ),
        )


def throttled(facts: Facts) -> Iterator[Issue]:
    """Requests that wait for a token of the rate limit."""
    for name, section in _asked(facts):
        waiting = max((s.upstreams[name].throttled for s in facts.window.samples if name in s.upstreams), default=0)
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
        if state.batches < _ENOUGH or not section.batch.window or state.batched >= state.batches * 1.5:
            continue
        waited = format_duration(section.batch.window)
        yield Issue(
            "batch_window",
            name,
            f"{state.batches} batches had {state.batched / state.batches:.1f} requests on average, "
            f"and each waited {waited} for others",
            "wait for a tenth of that: what comes at the same time still goes together",
            min(100.0, 100 * section.batch.window),
            change(format_duration(round(section.batch.window / 10, 4)), "upstreams", name, "batch", "window"),
        )


def open_breaker(facts: Facts) -> Iterator[Issue]:
    """An upstream that nothing is sent to, while nothing old may stand in for it."""
    for name, _ in _asked(facts):
        state = facts.upstreams.get(name)
        if state is None or not state.breaker_open:
            continue
        bare = {
            tool.strategy
            for tool in facts.profile.tools.values()
            if _reads(tool, name) and facts.profile.strategies[tool.strategy].stale_if_error == 0
        }
        fix = change({strategy: {"stale_if_error": "24h"} for strategy in sorted(bare)}, "strategies") if bare else {}
        outcomes = facts.window.upstream_outcomes(name)
        yield Issue(
            "open_breaker",
            name,
            f"its breaker is open, {outcomes['unavailable']} questions got no answer and {outcomes['not_asked']} were "
            "not sent",
            "let old answers stand in for it" if bare else "old answers stand in for it; see to the upstream",
            90.0 if bare else 50.0,
            fix,
        )


def _asked(facts: Facts) -> Iterator[tuple[str, Politeness]]:
    for name, section in facts.profile.upstreams.items():
        if isinstance(section, Politeness):
            yield name, section


def _reads(tool: object, upstream: str) -> bool:
    documents = getattr(tool, "documents", {})
    return any(fetch.upstream == upstream for fetch in documents.values())
