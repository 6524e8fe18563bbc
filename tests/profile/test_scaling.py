from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.profile.scaling import Scaling
from tests.profile.folder import Folder

ON = "[scaling]\nenabled = true\n"
UPSTREAM = """
[upstreams.api]
type = "http"
base_url = "https://example.org"
max_concurrent = 50
[strategies.s]
ttl = "1m"
[tools.t]
description = "d"
strategy = "s"
fetch = { upstream = "api", path = "x" }
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            ON + "[scaling.memory]\nmin_size = '512MB'",
            "4:1: scaling.memory.min_size: warning: the tier starts with 256MB, which is less, and is raised at once",
        ),
        (
            ON + "[scaling.disk]\nmax_size = '1GB'",
            "4:1: scaling.disk.max_size: warning: the tier starts with 2GB, which is more, and is cut at once",
        ),
        (
            ON + "memory_budget = '256MB'",
            "3:1: scaling.memory_budget: warning: the memory tier alone may take 256MB, so it would shrink before it "
            "is full",
        ),
        (
            ON + "memory_budget = '500MB'",
            "3:1: scaling.memory_budget: warning: the memory tier may grow past monitors.memory.warning (400MB), where "
            "entries are given up again",
        ),
        (
            ON + "[cache.memory]\ncurve = false",
            "4:1: cache.memory.curve: warning: without a curve nothing says what more room would bring, so the tier "
            "never grows",
        ),
        (
            ON + "window = '1s'",
            "3:1: scaling.window: warning: samples are taken every 5s and kept for 1h, and it looks back 1s",
        ),
        (
            ON + "[scaling.pools]\nleave = ['apis']\n" + UPSTREAM,
            "4:10: scaling.pools.leave[0]: warning: there is no upstream apis",
        ),
        (
            ON + "[scaling.pools]\nmin = 60\n" + UPSTREAM,
            "4:1: scaling.pools.min: warning: api starts with 50 requests at once, and would be asked more at once",
        ),
        (
            ON + "[scaling.pools]\nmax = 10\n" + UPSTREAM,
            "4:1: scaling.pools.max: warning: api starts with more requests at once, and would be cut",
        ),
    ],
)
def test_one_contradiction(folder: Folder, text: str, line: str) -> None:
    """What scaling may say and nobody means is warned about where it is said."""
    assert folder.warnings(text) == [f"p.toml:{line}"]


@pytest.mark.parametrize(
    "text",
    [
        ON,
        ON + "[scaling.pools]\nmin = 60\nleave = ['api']\n" + UPSTREAM,
        "[scaling]\nmemory_budget = '1MB'\nwindow = '1s'",
        ON + "[scaling.memory]\nenabled = false\nmin_size = '512MB'",
    ],
)
def test_what_is_off_or_left_alone_contradicts_nothing(folder: Folder, text: str) -> None:
    """A bound counts where it is in force."""
    assert folder.warnings(text) == []


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"high": "40%", "low": "30%"}, "a `low` below 26.7%, which is `high / grow`"),
        ({"high": "60%", "low": "39%", "shrink": 0.6, "grow": 1.1}, "a `high` above `low / shrink`"),
        ({"memory": {"min_size": "2MB", "max_size": "1MB"}}, "a `min_size` that is at most `max_size`"),
        ({"pools": {"min": 3, "max": 2}}, "a `min` that is at most `max`"),
        ({"threads": {"min": 3, "max": 2}}, "a `min` that is at most `max`"),
    ],
)
def test_what_could_never_rest_is_a_fault(table: dict[str, object], sentence: str) -> None:
    """Bounds that exclude each other, and thresholds between which a step leads from one to the other."""
    with pytest.raises(ValidationError, match="expected") as refused:
        Scaling.model_validate(table)
    assert sentence in str(refused.value)
