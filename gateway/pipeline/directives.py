"""What an upstream's answer says about its own freshness: Cache-Control, Age and Expires, parsed.

Sources: RFC 9111 (HTTP caching), sections 4.2 and 5; RFC 5861 (stale content).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_DIRECTIVE = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s,;"]*)))?')
_MAX_AGE = 2**31
"""Larger numbers of seconds are taken as this (RFC 9111, section 1.2.2)."""


@dataclass(frozen=True, slots=True)
class Directives:
    """The directives that a shared cache obeys. Seconds; None where the upstream says nothing."""

    max_age: float | None = None
    """How long the answer is fresh from when the origin made it: s-maxage, else max-age, else Expires minus Date."""
    age: float = 0.0
    """How long it has been in caches on the way already."""
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    must_revalidate: bool = False
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None

    @property
    def remaining(self) -> float | None:
        """For how long the answer is still fresh; not less than nothing."""
        return None if self.max_age is None else max(0.0, self.max_age - self.age)


SILENT = Directives()
"""Of an answer that says nothing about its freshness."""


def parse_directives(headers: Mapping[str, str]) -> Directives:
    """The directives in an answer's `headers` (names in lower case).

    Never raises: what is malformed counts as unsaid, save for an invalid freshness, which is none at all (RFC 9111,
    section 4.2.1).
    """
    control = _directives(headers.get("cache-control", ""))
    max_age = _seconds(control, "s-maxage")
    if max_age is None:
        max_age = _seconds(control, "max-age")
    if max_age is None and "max-age" not in control and "s-maxage" not in control:
        max_age = _by_expires(headers)
    age = headers.get("age", "").strip()
    return Directives(
        max_age=max_age,
        age=min(float(age), _MAX_AGE) if age.isascii() and age.isdigit() else 0.0,
        no_store="no-store" in control,
        no_cache="no-cache" in control,
        private="private" in control,
        must_revalidate="must-revalidate" in control or "proxy-revalidate" in control,
        stale_while_revalidate=_seconds(control, "stale-while-revalidate"),
        stale_if_error=_seconds(control, "stale-if-error"),
    )


def strictest(several: Sequence[Directives]) -> Directives:
    """What holds for something that is made of `several` answers: the least that any of them allows."""
    aged = [one for one in several if one.remaining is not None]
    briefest = min(aged, key=lambda one: one.remaining or 0.0, default=SILENT)
    return Directives(
        max_age=briefest.max_age,
        age=briefest.age,
        no_store=any(one.no_store for one in several),
        no_cache=any(one.no_cache for one in several),
        private=any(one.private for one in several),
        must_revalidate=any(one.must_revalidate for one in several),
        stale_while_revalidate=_least(one.stale_while_revalidate for one in several),
        stale_if_error=_least(one.stale_if_error for one in several),
    )


def _least(several: Iterable[float | None]) -> float | None:
    return min((one for one in several if one is not None), default=None)


def _directives(text: str) -> dict[str, str]:
    """Every directive by its lower-case name; of repeated ones the first counts."""
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(text):
        value = match[2] if match[2] is not None else match[3] or ""
        found.setdefault(match[1].lower(), value)
    return found


def _seconds(control: Mapping[str, str], name: str) -> float | None:
    """A directive's seconds: None where it is not there, nothing (0) where it is no number."""
    if name not in control:
        return None
    value = control[name]
    if not (value.isascii() and value.isdigit()):
        return 0.0
    return float(min(int(value[:12]), _MAX_AGE))


def _by_expires(headers: Mapping[str, str]) -> float | None:
    expires, date = headers.get("expires"), headers.get("date")
    if expires is None:
        return None
    try:
        end = parsedate_to_datetime(expires)
        start = parsedate_to_datetime(date) if date is not None else None
        return 0.0 if start is None else max(0.0, (end - start).total_seconds())
    except (ValueError, TypeError, OverflowError):  # "Expires: 0" and other dates that are none: already expired
        return 0.0
