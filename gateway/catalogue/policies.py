"""What a strategy of the profile means to the pipeline, and what a single call may ask for beyond it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.catalogue.result import PROVENANCE
from gateway.errors import ToolError
from gateway.pipeline.model import Negative, Policy, Priority, UpstreamFreshness
from gateway.profile.tiers import Strategy


def asked_for(policy: Policy, directives: Collection[str], meta: Mapping[str, Any]) -> Policy:
    """A tool's policy, made stricter by what the call's `_meta` asks for and the strategy's `directives` allow.

    `{"gateway/cache": {"no-cache": true}}` wants the upstream to be asked, `{"max-age": 60}` nothing older than that
    (RFC 9111, section 5.2.1). What is not allowed is ignored, as caches do; what makes no sense is a ToolError.
    """
    asked = meta.get(PROVENANCE)
    if asked is None:
        return policy
    known = isinstance(asked, Mapping) and not set(asked) - {"no-cache", "max-age"}
    age = asked.get("max-age", 0) if known else None
    if (
        not isinstance(age, int | float)
        or isinstance(age, bool)
        or not age >= 0
        or not isinstance(asked.get("no-cache", False), bool)
    ):
        raise ToolError(f'_meta["{PROVENANCE}"]: expected {{"no-cache": true}} or {{"max-age": seconds}}')
    if asked.get("no-cache", False) and "no-cache" in directives:
        policy = policy.at_most(0.0)
    if "max-age" in asked and "max-age" in directives:
        policy = policy.at_most(min(policy.max_age, float(age)))
    return policy


def policy_of(name: str, strategy: Strategy) -> Policy:
    """A `[strategies.NAME]` as the pipeline needs it."""
    negative = strategy.negative
    return Policy(
        name,
        strategy.ttl,
        strategy.stale_while_revalidate,
        strategy.stale_if_error,
        Priority[strategy.priority.upper()],
        Negative(negative.not_found, negative.upstream_error, negative.invalid),
        strategy.jitter,
        frozenset(strategy.tiers),
        strategy.scope == "private",
        UpstreamFreshness(strategy.upstream_freshness),
        strategy.patience,
    )
