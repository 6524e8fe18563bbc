"""One point of the list, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How a point stands."""

    PASS = "pass"  # noqa: S105  # no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the list."""

    name: str
    verdict: Verdict
    found: str
    """What was found, as a sentence."""
    key: tuple[str, ...]
    """The key of the profile that it is about."""
    remedy: str = ""
    """What to do, where it does not pass."""


def passed(name: str, found: str, *key: str) -> Point:
    """A point that is as it should be."""
    return Point(name, Verdict.PASS, found, key)


def warned(name: str, found: str, remedy: str, *key: str) -> Point:
    """A point to think about."""
    return Point(name, Verdict.WARN, found, key, remedy)


def failed(name: str, found: str, remedy: str, *key: str) -> Point:
    """A point that speaks against the release."""
    return Point(name, Verdict.FAIL, found, key, remedy)
