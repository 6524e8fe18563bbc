"""What is kept under one profile and can't be reached under another: it would be purged by a reload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gateway.catalogue.federation import identity
from gateway.catalogue.tool import fingerprint
from gateway.profile.budget import budget_of
from gateway.profile.profile import Profile
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.search import SearchUpstream


@dataclass(frozen=True, slots=True)
class Lost:
    """What has to be made anew, in the order of the profile that had it."""

    tools: tuple[str, ...]
    """Tools whose kept answers are of no use any more."""
    upstreams: tuple[str, ...]
    """Upstreams whose kept documents are."""
    disk: bool
    """The whole disk tier: it lies elsewhere, or is not used any more."""


def lost_between(before: Profile, after: Profile) -> Lost:
    """What a gateway has kept for `before` and can't use for `after`. Nothing is opened for it."""
    known, following = _identities(before), _identities(after)
    answers, others = _fingerprints(before, known), _fingerprints(after, following)
    return Lost(
        tuple(name for name in answers if answers[name] != others.get(name)),
        tuple(name for name in known if known[name] != following.get(name)),
        before.cache.disk.enabled and (not after.cache.disk.enabled or before.cache.disk.path != after.cache.disk.path),
    )


def _fingerprints(profile: Profile, identities: dict[str, str]) -> dict[str, str]:
    return {
        name: fingerprint(section, identities, budget_of(section, profile.server.max_output))
        for name, section in profile.tools.items()
        if section.annotations.read_only
    }


def _identities(profile: Profile) -> dict[str, str]:
    sections = profile.upstreams
    found = {name: _identity(each) for name, each in sections.items() if not isinstance(each, SearchUpstream)}
    for name, section in sections.items():
        if isinstance(section, SearchUpstream):
            from gateway.upstream.search.upstream import identity_of

            found[name] = identity_of(section, found[section.upstream])
    return {name: found[name] for name in sections}


def _identity(section: Upstream) -> str:
    match section.type:
        case "http":
            from gateway.upstream.http import documents

            return documents.identity_of(section)
        case "npm":
            from gateway.upstream import npm

            return npm.identity_of(section)
        case "files":
            from gateway.upstream import files

            return files.identity_of(section)
        case "mcp":
            return identity(section)
        case "search":
            raise ValueError("a search is of another upstream")
        case _:
            assert_never(section)
