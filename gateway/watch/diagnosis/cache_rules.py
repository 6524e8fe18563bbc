"""Rules about tiers and strategies: hit rates, evictions, sizes, spellings."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile.units import format_duration, format_size
from gateway.tiers.curve import Curve
from gateway.watch.diagnosis.model import Facts, Issue, ToolFacts, change

_ENOUGH = 50
"""Calls of a tool, or reads of a tier, below which a rate says little."""
_LOW = 0.8
"""A hit rate that is worth a look."""
_GAIN = 0.02
"""Of the hit rate: what a larger tier has to bring, and what a smaller one may cost a tenth of."""


def low_hit_rate(facts: Facts) -> Iterator[Issue]:
    """A strategy under which much is asked for again after it has expired."""
    for name, tools in _by_strategy(facts).items():
        hits, misses = sum(tool.hits for tool in tools), sum(tool.misses for tool in tools)
        if hits + misses < _ENOUGH or hits / (hits + misses) >= _LOW or name not in facts.profile.strategies:
            continue
        if any(facts.window.evictions(tier) for tier in facts.tiers):
            continue  # what has no room does not live until its ttl: another rule's business
        rarely = all(_rarely_again(facts, tool) for tool, about in facts.tools.items() if about.strategy == name)
        if rarely:
            continue
        strategy = facts.profile.strategies[name]
        longer = format_duration(strategy.ttl * 4)
        stale = format_duration(max(strategy.stale_while_revalidate, strategy.ttl))
        yield Issue(
            "low_hit_rate",
            name,
            f"{hits / (hits + misses):.0%} of {hits + misses} calls came from the cache, and nothing was evicted: "
            f"answers expire after {format_duration(strategy.ttl)} before they are asked for again",
            "let answers live longer, and serve an old one while it is refreshed",
            _share_of_time(facts, tools),
            {**change({"ttl": longer, "stale_while_revalidate": stale}, "strategies", name)},
        )


def evictions(facts: Facts) -> Iterator[Issue]:
    """A tier that gives up what is asked for again."""
    for tier, state in facts.tiers.items():
        given_up, curve = facts.window.evictions(tier), facts.curves.get(tier)
        if not given_up or curve is None:
            continue
        now, twice = _rate(curve, 1), _rate(curve, 2)
        if twice - now < _GAIN:
            continue
        limit = facts.profile.cache.memory.max_size if tier == "memory" else facts.profile.cache.disk.max_size
        larger: dict[str, str | int] = {"max_size": format_size(limit * 2)}
        if tier == "memory":
            larger["max_items"] = facts.profile.cache.memory.max_items * 2
        yield Issue(
            "evictions",
            tier,
            f"{given_up} entries were evicted in the last {facts.window.seconds:.0f} s, {state.entries} are there; "
            f"with twice the room {twice:.0%} of the reads would find something, now {now:.0%} do",
            f"give the tier twice the room ({format_size(limit)} now)",
            100 * (twice - now),
            change(larger, "cache", tier),
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
    smaller = format_size(state.limit // 2)
    yield Issue(
        "needless_room",
        "memory",
        f"the process has {facts.resident / 1e6:.0f} MB, of which the memory tier may take {state.limit / 1e6:.0f}; "
        f"with half of that {half:.1%} of its reads would find something, now {now:.1%} do",
        "take half its room away",
        20 * facts.resident / monitor.critical,
        change(smaller, "cache", "memory", "max_size"),
    )


def spellings(facts: Facts) -> Iterator[Issue]:
    """An argument whose values miss because each spelling has an entry of its own."""
    for tool, arguments in facts.spreads.items():
        for argument, spread in arguments.items():
            section = facts.profile.tools.get(tool)
            if section is None or spread.misses < _ENOUGH or spread.values < spread.folded * 1.25:
                continue
            if argument in section.normalize:
                continue
            needless = spread.values - spread.folded
            yield Issue(
                "spellings",
                f"{tool}.{argument}",
                f"{spread.misses} misses had {spread.values} values of {argument}, which are {spread.folded} when "
                "case, blanks, - and _ do not count",
                "bring them to one spelling before they are looked up; the upstream gets that one, too",
                _share_of_time(facts, [facts.tools[tool]]) * needless / spread.values if tool in facts.tools else 1.0,
                change(f"kebab({argument})", "tools", tool, "normalize", argument),
            )


def never_again(facts: Facts) -> Iterator[Issue]:
    """A tool whose answers are hardly ever asked for again, and take the room of others."""
    for tool, about in facts.tools.items():
        if not _rarely_again(facts, tool) or about.strategy not in facts.profile.strategies:
            continue
        others = [name for name, each in facts.tools.items() if each.strategy == about.strategy and name != tool]
        strategy = facts.profile.strategies[about.strategy]
        if strategy.priority == "low" or not any(facts.window.evictions(tier) for tier in facts.tiers):
            continue
        own = f"{about.strategy}-rare"
        rare = {**strategy.model_dump(mode="json", exclude_unset=True), "priority": "low"}
        fix = change(rare, "strategies", own) if others else change("low", "strategies", about.strategy, "priority")
        if others:
            fix = {**fix, **change(own, "tools", tool, "strategy")}
        yield Issue(
            "never_again",
            tool,
            f"of {about.hits + about.misses} calls {about.misses} missed, hardly two alike, and entries are evicted",
            "let its answers go first when there is no room",
            10.0,
            fix,
        )


def _rarely_again(facts: Facts, tool: str) -> bool:
    about, spreads = facts.tools[tool], facts.spreads.get(tool, {})
    asked = about.hits + about.misses
    if asked < _ENOUGH or about.hits / asked > 0.2:
        return False
    return any(spread.misses >= _ENOUGH and spread.values > spread.misses * 0.9 for spread in spreads.values())


def _by_strategy(facts: Facts) -> dict[str, list[ToolFacts]]:
    found: dict[str, list[ToolFacts]] = {}
    for about in facts.tools.values():
        if about.strategy:
            found.setdefault(about.strategy, []).append(about)
    return found


def _share_of_time(facts: Facts, tools: list[ToolFacts]) -> float:
    """Of 100, how much of what callers wait for misses is these tools'."""
    whole = sum(tool.seconds_missed for tool in facts.tools.values())
    return 100 * sum(tool.seconds_missed for tool in tools) / whole if whole else 0.0


def _rate(curve: Curve, factor: float) -> float:
    return next((point.hit_rate for point in curve.points if point.factor == factor), 0.0)
