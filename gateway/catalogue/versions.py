"""Versions and ranges in expressions, by npm's rules: no text is refused, what is no version is none."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import nodesemver

from gateway.upstream.versions import Listed, listed

_RANGE = re.compile(r"[\w.+*~^<>=| -]{0,256}", re.ASCII)
"""What can be a range. It is parsed by a dozen regular expressions: keep their input short."""
_IN_TEXT = re.compile(
    r"(?<![\w.])v?(\d{1,15}\.\d{1,15}\.\d{1,15}(?:-[0-9A-Za-z-][0-9A-Za-z.-]{0,63})?(?:\+[0-9A-Za-z.-]{1,64})?)",
    re.ASCII,
)
_MAX_TEXT = 1000
"""Characters of a text in which a version is looked for."""


def satisfies(version: Any, wanted: Any) -> bool | None:
    """Whether a version is in a range such as "^3.2.0 || >=4"; None where one of the two is none.

    A prerelease is in a range only where the range names one of the same release (node-semver, "Prerelease Tags").
    """
    release, range_ = _release(version), _range(wanted)
    if release is None or range_ is None:
        return None
    return bool(range_.test(release.semver))


def compare(one: Any, other: Any) -> int | None:
    """-1, 0 or 1 as the first version is lower than, of the same precedence as or higher than the other one."""
    first, second = _release(one), _release(other)
    if first is None or second is None:
        return None
    return (first.precedence > second.precedence) - (first.precedence < second.precedence)


def between(version: Any, after: Any, until: Any) -> bool | None:
    """Whether a version is one that an update from `after` to `until` brings: above the one, up to the other."""
    lower, upper = compare(version, after), compare(version, until)
    return None if lower is None or upper is None else lower > 0 >= upper


def ascending(versions: list[Any]) -> list[str]:
    """The versions among the values, lowest first."""
    found = [release for value in versions if (release := _release(value)) is not None]
    return [release.name for release in sorted(found, key=lambda release: (release.precedence, release.name))]


def highest(versions: list[Any], wanted: Any) -> str | None:
    """The highest of the versions that a range allows; None for none."""
    range_ = _range(wanted)
    if range_ is None:
        return None
    releases = (_release(name) for name in reversed(ascending(versions)))
    return next((release.name for release in releases if release is not None and range_.test(release.semver)), None)


def release_in(text: str) -> str | None:
    """The first version that a text names, without a `v`; None for none."""
    found = _IN_TEXT.search(text[:_MAX_TEXT])
    return found[1].rstrip(".-") if found else None


def _release(version: Any) -> Listed | None:
    return _parsed(version.strip()) if isinstance(version, str) and len(version) < _MAX_TEXT else None


@lru_cache(maxsize=2048)
def _parsed(version: str) -> Listed | None:
    return listed(version)


def _range(wanted: Any) -> Any:
    if not isinstance(wanted, str) or not _RANGE.fullmatch(wanted.strip()):
        return None
    return _compiled(wanted.strip())


@lru_cache(maxsize=256)
def _compiled(wanted: str) -> Any:
    try:
        return nodesemver.make_range(wanted, loose=True)
    except Exception:  # whatever a parser of regular expressions trips over, it is no range
        return None
