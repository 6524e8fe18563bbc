from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.versions import ascending, between, compare, highest, release_in, satisfies

junk = st.none() | st.integers() | st.text(max_size=300) | st.from_regex(r"[\d.xX*^~<>=| v-]{0,60}", fullmatch=True)


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("3.2.1", "^3.2.0", True),
        ("v3.2.1", ">=3 <3.2", False),
        ("3.2.1", "^2 || ~3.2", True),
        ("4.0.0-beta.1", ">=3", False),
        ("4.0.0-beta.2", ">=4.0.0-beta.1", True),
        ("3.2.1", "", True),
        ("3.2", "^3", None),
        ("3.2.1", "three", None),
        (None, "^3", None),
        ("3.2.1", {"a": 1}, None),
        ("3.2.1", "1" * 10_000, None),
    ],
)
def test_satisfies(version: Any, wanted: Any, answer: bool | None) -> None:
    """npm's rules; what is no version or no range has no answer."""
    assert satisfies(version, wanted) is answer


def test_order() -> None:
    """Versions are ordered by precedence (Semantic Versioning, section 11); what is none is left out."""
    assert ascending(["1.10.0", "1.9.0", "x", None, "1.10.0-rc.1", "v1.0.0"]) == [
        "v1.0.0",
        "1.9.0",
        "1.10.0-rc.1",
        "1.10.0",
    ]
    assert [compare("1.0.0", "1.0.1"), compare("1.0.0+a", "1.0.0"), compare("2.0.0", "2.0.0-1")] == [-1, 0, 1]
    assert compare("1.0.0", "latest") is None


def test_highest() -> None:
    """The highest that the range allows, or none."""
    assert highest(["3.1.0", "3.10.0", "3.9.0", "4.0.0", 5], "^3") == "3.10.0"
    assert highest(["3.1.0"], "^4") is None
    assert highest(["3.1.0"], None) is None


def test_between() -> None:
    """An update brings what is above the old release, up to the new one itself."""
    versions = ["1.0.0", "1.0.1", "2.0.0-rc.1", "2.0.0", "2.0.1"]
    assert [version for version in versions if between(version, "1.0.0", "2.0.0")] == versions[1:4]
    assert between("x", "1.0.0", "2.0.0") is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("## [3.2.0](url) (2026-01-01)", "3.2.0"),
        ("v1.0.0-beta.2 is out.", "1.0.0-beta.2"),
        ("Release 1.0.0.", "1.0.0"),
        ("1.0", None),
        ("10.0.0.1", "10.0.0"),
        ("", None),
    ],
)
def test_a_version_in_a_text(text: str, version: str | None) -> None:
    """The first whole version is found, without what stands around it."""
    assert release_in(text) == version


@given(junk, junk, junk)
def test_junk(one: Any, two: Any, three: Any) -> None:
    """Nothing that a document may hold is an error."""
    satisfies(one, two)
    compare(one, two)
    between(one, two, three)
    highest([one, two], three)
    assert ascending([one, two, "1.0.0"])
