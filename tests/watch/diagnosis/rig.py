"""Facts of a gateway that nobody runs, about a small profile."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from gateway.profile.loader import Loaded, load_profile
from gateway.profile.profile import Profile
from gateway.telemetry.histogram import Histogram
from gateway.telemetry.series import ProcessSample, Sample, TierSample, UpstreamSample, Window
from gateway.telemetry.shapes import Misses, Spread
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.diagnosis.changes import differing, merged, paths
from gateway.watch.diagnosis.model import Facts, Issue
from gateway.watch.gauges import TierState

TEXT = """
[cache.memory]
max_size = "256MB"
[cache.disk]
ttl = "1h"
[strategies.docs]
ttl = "15m"
[strategies.rare]
ttl = "15m"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
batch = { parameter = "id" }
[upstreams.package]
type = "npm"
package = "some-package"
[upstreams.server]
type = "mcp"
command = ["server"]
strategy = "docs"
[upstreams.folder]
type = "files"
root = "somewhere"
[upstreams.words]
type = "search"
upstream = "package"
strategy = "rare"
documents = [{ path = "docs/{page}.md" }]
[tools.get]
description = "A thing."
strategy = "docs"
[tools.get.input.properties]
name = { type = "string" }
dashed-name = { type = "string", default = "" }
[tools.get.fetch]
upstream = "api"
path = "things/{name}"
[tools.file]
description = "A file."
strategy = "docs"
fetch = { upstream = "folder", path = "a.json" }
[tools.find]
description = "Some page."
strategy = "rare"
fetch = { upstream = "words", path = "", version = "latest", query = { q = "x" } }
"""


def loaded(text: str = "", base: str = TEXT) -> Loaded:
    """The small profile, with `text` merged over it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "base.toml").write_text(base)
        (folder / "p.toml").write_text(f'extends = ["base.toml"]\n{text}')
        return load_profile("p", environ={}, cwd=folder, folders=[folder])


def profile(text: str = "") -> Profile:
    return loaded(text).profile


def with_change(issue: Issue, before: Profile, text: str = "") -> Profile:
    """The profile with the change of an issue, which has to load and really change every key, without new warnings."""
    assert issue.change
    assert {*paths(differing(issue.change, before))} == {*paths(issue.change)}
    old, new = loaded(text), loaded(tomli_w.dumps(_over(text, issue.change)))
    assert {each.problem for each in new.warnings} <= {each.problem for each in old.warnings}
    return new.profile


def found(rule: Callable[[Facts], Iterator[Issue]], facts: Facts) -> list[Issue]:
    return list(rule(facts))


def histogram(*seconds: float) -> Histogram:
    timings = Histogram()
    for each in seconds:
        timings.record(each)
    return timings


def sample(
    upstreams: Mapping[str, UpstreamSample] | None = None, evictions: Mapping[str, int] | None = None, **process: Any
) -> Sample:
    """Five seconds."""
    tiers = {name: TierSample(0, 0, 0, 0, 0, 0, count) for name, count in (evictions or {}).items()}
    return Sample(0.0, 5.0, Histogram(), {}, tiers, upstreams or {}, ProcessSample(**process))


def window(*samples: Sample) -> Window:
    return Window(samples)


def tier(size: int = 250_000_000, limit: int = 256_000_000, entries: int = 1000) -> TierState:
    return TierState(0, 0, 0, entries, size, limit, 0)


def curve(half: float, now: float, twice: float) -> Curve:
    rates = {0.5: half, 1.0: now, 2.0: twice, 4.0: twice}
    return Curve(tuple(CurvePoint(factor, 0, rate) for factor, rate in rates.items()), 5000, 1.0, 1.0)


def misses(noted: int, again: int = 0, **arguments: Spread) -> Misses:
    return Misses(noted, again, arguments)


def _over(text: str, change: Mapping[str, Any]) -> dict[str, Any]:
    return merged([change, tomllib.loads(text)])
