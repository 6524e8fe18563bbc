"""From what an agent calls a version to the one release that it means, by npm's rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import nodesemver

from gateway.errors import UnknownVersion
from gateway.printable import printable

NEWEST_SHOWN = 5
"""Releases that are named when none matches."""

_ASKED = re.compile(r"[\w.+*~^<>=|@/ -]{1,128}", re.ASCII)
"""What can be a release, a range or a tag. Ranges are parsed by a dozen regular expressions: keep their input short."""

_LISTED = re.compile(r"v?\d{1,15}\.\d{1,15}\.\d{1,15}(?:-[0-9A-Za-z.-]{1,64})?(?:\+[0-9A-Za-z.-]{1,64})?", re.ASCII)
"""A release (Semantic Versioning 2.0.0, section 2), with the `v` that Git tags have."""

_Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A release by its name, with what orders it."""

    name: str
    semver: Any
    precedence: _Precedence

    @property
    def stable(self) -> bool:
        """Whether it is no prerelease."""
        return self.precedence[3]


class SemanticReleases:
    """The releases of an upstream, newest first. What is listed but is no semantic version is left out."""

    def __init__(self, upstream: str, names: Iterable[str], tags: Mapping[str, str] | None = None) -> None:
        self._upstream = upstream
        parsed = (listed(name) for name in names)
        found = [release for release in parsed if release is not None]
        self._newest_first = sorted(found, key=lambda release: (release.precedence, release.name), reverse=True)
        self._by_name = {release.name: release for release in self._newest_first}
        self._tags = {tag: name for tag, name in (tags or {}).items() if name in self._by_name}

    @property
    def newest(self) -> tuple[str, ...]:
        """The newest few, stable ones first."""
        stable_first = sorted(self._newest_first, key=lambda release: not release.stable)
        return tuple(release.name for release in stable_first[:NEWEST_SHOWN])

    def document(self) -> dict[str, Any]:
        """All of them as a document: `{"tags": {tag: release}, "versions": [release, …]}`, newest first."""
        return {"tags": self._tags, "versions": [release.name for release in self._newest_first]}

    def resolve(self, asked: str) -> str:
        """The release that `asked` names: itself, a dist-tag, or the best one in a range such as `^3.9` or `3.x`.

        `latest` is the dist-tag, or the newest stable release where there is no such tag. In a range the tagged
        `latest` is preferred to newer ones, and a prerelease needs to be asked for (npm-pick-manifest; node-semver,
        "Prerelease Tags"). Raises UnknownVersion, and nothing else, whatever `asked` is.
        """
        wanted = asked.strip()
        if not _ASKED.fullmatch(wanted):
            raise self._unknown(asked)
        if wanted in self._by_name:
            return wanted
        if wanted in self._tags:
            return self._tags[wanted]
        if wanted == "latest":
            wanted = "*"
        found = self._equal(wanted) or self._in_range(wanted)
        if found is None:
            raise self._unknown(asked)
        return found.name

    def _equal(self, wanted: str) -> Listed | None:
        exact = listed(wanted.removeprefix("="))
        if exact is None:
            return None
        return next((release for release in self._newest_first if release.precedence == exact.precedence), None)

    def _in_range(self, wanted: str) -> Listed | None:
        try:
            matches = nodesemver.make_range(wanted, loose=True)
            tagged = self._by_name.get(self._tags.get("latest", ""))
            candidates = [tagged] if tagged is not None else []
            return next((each for each in candidates + self._newest_first if matches.test(each.semver)), None)
        except Exception:  # whatever a parser of regular expressions trips over, it is no range
            return None

    def _unknown(self, asked: str) -> UnknownVersion:
        return UnknownVersion(self._upstream, printable(asked, 40), self.newest)


def listed(name: str) -> Listed | None:
    """The release of that name; None for what is no semantic version."""
    if not _LISTED.fullmatch(name):
        return None
    try:
        semver = nodesemver.make_semver(name, loose=True)
    except ValueError:
        return None
    # Numbers are lower than words, and a release is higher than its prereleases (Semantic Versioning, section 11).
    prerelease = tuple((isinstance(part, str), *(_ordered(part))) for part in semver.prerelease)
    return Listed(name, semver, (semver.major, semver.minor, semver.patch, not prerelease, prerelease))


def _ordered(part: int | str) -> tuple[int, str]:
    return (0, part) if isinstance(part, str) else (part, "")
