"""Rules about tiers and strategies: hit rates, evictions, sizes, spellings."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.catalogue.normalized import WAYS
from gateway.profile.units import format_duration, format_size
from gateway.tiers.curve import Curve
from gateway.watch.diagnosis.changes import Change, change, living, living_longer, merged, thresholds
from gateway.watch.diagnosis.model import Facts, Issue, ToolFacts
from gateway.watch.gauges import TierState

_ENOUGH = 50
"""Calls of a tool, or reads of a tier, below which a rate says little."""
_LOW = 0.8
"""A hit rate that is worth a look."""
_GAIN = 0.02
"""Of the hit rate: what a larger tier has to bring, and what a smaller one may cost a tenth of."""
_AGAIN = 0.1
"""Of the misses: so many for what had been there before are worth a longer life; with less, nothing is asked twice."""
_FULL = 0.9
"""Of its limit: a tier that holds so much gives up entries for lack of room, and not because memory ran short."""
PROCESS = 150_000_000
"""Bytes that the process needs beside its memory tier."""


def low_hit_rate(facts: Facts) -> Iterator[Issue]:
    """A strategy under which much is asked for again after it has expired."""
    for name, tools in _by_strategy(facts).items():
        asked, hits = sum(tool.asked for tool in tools.values()), sum(tool.hits for tool in tools.values())
        if asked < _ENOUGH or hits / asked >= _LOW or _lowest_evicts(facts):
            continue  # what has no room does not live until its ttl: another rule's business
        noted = sum(facts.misses[tool].noted for tool in tools if tool in facts.misses)
        again = sum(facts.misses[tool].again for tool in tools if tool in facts.misses)
        if noted < _ENOUGH or again < _AGAIN * noted:
            continue
        strategy, now = facts.profile.strategies[name], living(facts.profile, name)
        stale = format_duration(max(strategy.stale_while_revalidate, now))
        parts = [living_longer(facts.profile, name, 4), change(stale, "strategies", name, "stale_while_revalidate")]
        advice = "let answers live longer, and serve an old one while it is refreshed"
        if strategy.upstream_freshness != "ignore":
            parts.append(change("ignore", "strategies", name, "upstream_freshness"))
            advice += "; the upstream's Cache-Control must not end that sooner"
        yield Issue(
            "low_hit_rate",
            name,
            f"{hits / asked:.0%} of {asked} calls came from the cache, and nothing was evicted: answers expire after "
            f"{format_duration(now)} at most, and {again} of the last {noted} misses were for something asked before",
            advice,
            _share_of_time(facts, list(tools.values())) * again / noted,
            merged(parts),
        )


def evictions(facts: Facts) -> Iterator[Issue]:
    """A tier that gives up what is asked for again."""
    for tier, state in facts.tiers.items():
        given_up, curve = facts.window.evictions(tier), facts.curves.get(tier)
        if not given_up or curve is None:
            continue
        now, twice = _rate(curve, 1), _rate(curve, 2)
        larger, room = _larger(facts, tier, state)
        if twice - now < _GAIN or not larger:
            continue
        last = tier == _lowest(facts)
        free = facts.window.last.process.disk_free if tier == "disk" and facts.window.last is not None else None
        fits = free is None or free > state.limit * 1.1
        yield Issue(
            "evictions",
            tier,
            f"{given_up} entries were evicted in the last {facts.window.seconds:.0f} s, {state.entries} are there; "
            f"with twice the room {twice:.0%} of the reads would find something, now {now:.0%} do",
            f"give the tier twice the room ({room} now)" + ("" if fits else "; make room on the disk first"),
            (100 if last else 20) * (twice - now),  # what the next tier has costs a read, not a question
            larger if fits else {},
        )


def needless_room(facts: Facts) -> Iterator[Issue]:
    """A memory tier that would do as well with half its room, in a process that is short of memory."""
    curve, state = facts.curves.get("memory"), facts.tiers.get("memory")
    monitor = facts.profile.monitors.memory
    if curve is None or state is None or facts.resident < monitor.warning * 0.9:
        return
    now, half = _rate(curve, 1), _rate(curve, 0.5)
    if now - half > _GAIN / 10 or state.size * 2 < state.limit:
        return
    yield Issue(
        "needless_room",
        "memory",
        f"the process has {facts.resident / 1e6:.0f} MB, of which the memory tier may take {state.limit / 1e6:.0f}; "
        f"with half of that {half:.1%} of its reads would find something, now {now:.1%} do",
        "take half its room away: nothing is lost",
        min(100.0, 65 * facts.resident / monitor.warning),  # before any other way to save memory
        change(format_size(state.limit // 2), "cache", "memory", "max_size"),
    )


def spellings(facts: Facts) -> Iterator[Issue]:
    """An argument whose values miss because each spelling has an entry of its own, though the answers are the same."""
    for tool, misses in facts.misses.items():
        section = facts.profile.tools.get(tool)
        if section is None or misses.noted < _ENOUGH:
            continue
        for argument, spread in misses.arguments.items():
            if argument in section.normalize or spread.way is None or spread.values < spread.fewest * 1.25:
                continue
            way = WAYS[spread.way].format(argument if argument.isidentifier() else f'"{argument}"')
            needless = (spread.values - spread.fewest) / spread.values
            yield Issue(
                "spellings",
                f"{tool}.{argument}",
                f"the last {misses.noted} misses had {spread.values} values of {argument}, which are {spread.fewest} "
                f"under {way}, and the answers were the same",
                "bring them to one spelling before they are looked up; the upstream gets that one, too",
                _share_of_time(facts, [facts.tools[tool]] if tool in facts.tools else []) * needless,
                change(way, "tools", tool, "normalize", argument),
            )


def never_again(facts: Facts) -> Iterator[Issue]:
    """A tool whose answers are hardly ever asked for again, and take the room of others."""
    if not any(facts.window.evictions(tier) for tier in facts.tiers):
        return
    for tool, about in facts.tools.items():
        misses = facts.misses.get(tool)
        if about.asked < _ENOUGH or about.hits > about.asked * 0.2:
            continue
        if misses is None or misses.noted < _ENOUGH or misses.again >= _AGAIN * misses.noted:
            continue
        strategy = facts.profile.strategies[about.strategy]
        if strategy.priority == "low":
            continue
        own = f"{about.strategy[:59]}-rare"
        fix = change("low", "strategies", about.strategy, "priority")
        if any(each.strategy == about.strategy and name != tool for name, each in facts.profile.tools.items()):
            rare = {**strategy.model_dump(exclude_unset=True), "priority": "low"}
            fix = merged([change(rare, "strategies", own), change(own, "tools", tool, "strategy")])
        yield Issue(
            "never_again",
            tool,
            f"of {about.asked} calls {about.misses} missed, {misses.again} of the last {misses.noted} of them for "
            "something asked before, and entries are evicted",
            "let its answers go first when there is no room",
            10.0,
            fix,
        )


def _larger(facts: Facts, tier: str, state: TierState) -> tuple[Change, str]:
    """The change that doubles what the tier is full of, and how much that is now; nothing where it is not full."""
    cache = facts.profile.cache
    parts: list[Change] = []
    room = []
    if state.size >= state.limit * _FULL:
        room.append(format_size(state.limit))
        parts.append(change(format_size(state.limit * 2), "cache", tier, "max_size"))
        if tier == "memory":
            parts.append(thresholds(facts.profile, state.limit * 2 + PROCESS))
            if cache.disk.enabled and cache.disk.max_size < state.limit * 2:
                parts.append(change(format_size(state.limit * 2), "cache", "disk", "max_size"))
    if tier == "memory" and state.entries >= cache.memory.max_items * _FULL:
        room.append(f"{cache.memory.max_items} entries")
        parts.append(change(cache.memory.max_items * 2, "cache", "memory", "max_items"))
    return merged(parts), " and ".join(room)


def _lowest_evicts(facts: Facts) -> bool:
    lowest = _lowest(facts)
    return lowest is not None and facts.window.evictions(lowest) > 0


def _lowest(facts: Facts) -> str | None:
    """The last tier whose room the profile decides; that of the shared one is its engine's."""
    return next((tier for tier, state in reversed(list(facts.tiers.items())) if state.limit), None)


def _by_strategy(facts: Facts) -> dict[str, dict[str, ToolFacts]]:
    found: dict[str, dict[str, ToolFacts]] = {}
    for name, about in facts.tools.items():
        found.setdefault(about.strategy, {})[name] = about
    return found


def _share_of_time(facts: Facts, tools: list[ToolFacts]) -> float:
    """Of 100, how much of what callers wait for misses is these tools'."""
    whole = sum(tool.seconds_missed for tool in facts.tools.values())
    return 100 * sum(tool.seconds_missed for tool in tools) / whole if whole else 0.0


def _rate(curve: Curve, factor: float) -> float:
    return next((point.hit_rate for point in curve.points if point.factor == factor), 0.0)
