from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnknownVersion
from gateway.upstream.versions import SemanticReleases

LISTED = [
    "2.18.1", "3.1.0", "3.9.0", "3.9.1", "3.10.0", "3.20.6", "4.0.0-alpha.2", "4.0.0-alpha.10", "4.0.0-beta.1",
    "nightly", "1.2", "", "3.x", "../../evil",
]  # fmt: skip
RELEASES = SemanticReleases("package", LISTED, {"latest": "3.20.6", "next": "4.0.0-alpha.10", "gone": "9.9.9"})


@pytest.mark.parametrize(
    ("asked", "release"),
    [
        ("3.9.1", "3.9.1"),
        ("v3.9.1", "3.9.1"),
        ("=3.9.1", "3.9.1"),
        (" 3.9.1 ", "3.9.1"),
        ("latest", "3.20.6"),
        ("next", "4.0.0-alpha.10"),
        ("3", "3.20.6"),
        ("3.x", "3.20.6"),
        ("3.9.x", "3.9.1"),
        ("~3.9.0", "3.9.1"),
        ("^3.9", "3.20.6"),
        (">=3.1 <3.10", "3.9.1"),
        ("3.1 - 3.9", "3.9.1"),
        ("2 || 3.1.0", "3.1.0"),
        ("*", "3.20.6"),
        ("4.0.0-beta.1", "4.0.0-beta.1"),
        ("^4.0.0-0", "4.0.0-beta.1"),
        ("<4.0.0-beta.1 >=4.0.0-alpha.0", "4.0.0-alpha.10"),
    ],
)
def test_what_an_agent_may_call_a_release(asked: str, release: str) -> None:
    """A release, a tag or a range, by npm's rules."""
    assert RELEASES.resolve(asked) == release


@pytest.mark.parametrize(
    "asked", ["4", "^4", ">=4", "9.9.9", "gone", "3.9.2", "", " ", "nightly", "../../evil", "banana", "3.9.1; rm -rf /"]
)
def test_unknown_versions(asked: str) -> None:
    """The newest five are named, stable ones first; a prerelease is no answer unless it is asked for."""
    with pytest.raises(UnknownVersion) as unknown:
        RELEASES.resolve(asked)
    assert unknown.value.newest == ("3.20.6", "3.10.0", "3.9.1", "3.9.0", "3.1.0")
    assert str(unknown.value) == (
        f"package: no release matches version {asked!r}. The newest are 3.20.6, 3.10.0, 3.9.1, 3.9.0, 3.1.0."
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("9" * 10_000, "9" * 39 + "…"),
        ("\x1b[31m3.9.1\n", "?[31m3.9.1?"),
        ("\ud800", "?"),
        ("3.9.1\0", "3.9.1?"),
        ("\uff11.\uff12.\uff13", "\uff11.\uff12.\uff13"),
    ],
)
def test_absurd_versions_are_shown_short_and_printable(asked: str, shown: str) -> None:
    """What is quoted is one short line."""
    with pytest.raises(UnknownVersion) as unknown:
        RELEASES.resolve(asked)
    assert unknown.value.asked == shown


def test_latest_without_a_tag_is_the_newest_stable_release() -> None:
    """Prereleases are newer, but were not asked for; where there is nothing else, none is it."""
    assert SemanticReleases("package", LISTED).resolve("latest") == "3.20.6"
    with pytest.raises(UnknownVersion, match=r"The newest are 1\.0\.0-rc\.2, 1\.0\.0-rc\.1\."):
        SemanticReleases("package", ["1.0.0-rc.1", "1.0.0-rc.2"]).resolve("latest")
    with pytest.raises(
        UnknownVersion, match=r"^package: no release matches version 'latest'\. It has published none\.$"
    ):
        SemanticReleases("package", ["nightly"]).resolve("latest")


def test_in_a_range_the_tagged_latest_is_preferred() -> None:
    """As npm does: a newer release that is not tagged `latest` is being held back."""
    releases = SemanticReleases("package", ["1.0.0", "1.1.0", "1.2.0"], {"latest": "1.1.0"})
    assert [releases.resolve(asked) for asked in ("latest", "^1.0", "1.2.x", "*")] == [
        "1.1.0",
        "1.1.0",
        "1.2.0",
        "1.1.0",
    ]


def test_releases_are_called_what_the_listing_calls_them() -> None:
    """Git tags keep their `v`."""
    releases = SemanticReleases("package", ["v1.0.0", "v1.1.0"])
    assert [releases.resolve(asked) for asked in ("1.0.0", "v1.0.0", "1")] == ["v1.0.0", "v1.0.0", "v1.1.0"]


_FRAGMENTS = st.sampled_from(
    ["3", "9", "0", ".", "x", "*", "^", "~", ">", "<", "=", "v", " ", "-", "||", "alpha", "+", "3.9.1", "latest", "  "]
)


@given(st.text(max_size=150) | st.lists(_FRAGMENTS, max_size=60).map("".join))
def test_whatever_is_asked_is_a_release_or_unknown(asked: str) -> None:
    """No input raises anything but UnknownVersion, and no answer is one that is not listed."""
    try:
        release = RELEASES.resolve(asked)
    except UnknownVersion as unknown:
        assert len(unknown.asked) <= 40  # noqa: PT017  # the other outcome is as good
        return
    assert release in LISTED


@given(st.lists(st.text(max_size=30) | st.lists(_FRAGMENTS, max_size=8).map("".join), max_size=20))
def test_whatever_is_listed_can_be_asked(names: list[str]) -> None:
    """A listing of nonsense is a listing of fewer releases."""
    releases = SemanticReleases("package", names)
    for name in [*names, "latest", "*"]:
        with contextlib.suppress(UnknownVersion):
            assert releases.resolve(name) in names


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["v", "=", " ", ">", "1.", "x ", "-", "0", "~ ", "^", "1 - ", "||", "v="])
def test_hostile_ranges_do_not_run_away(unit: str) -> None:
    """The longest text of one kind that is let in takes milliseconds; a runaway expression would not end."""
    with contextlib.suppress(UnknownVersion):
        RELEASES.resolve((unit * 128)[:128])
