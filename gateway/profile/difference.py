"""What two profiles have set otherwise, when all that they extend, all overrides and defaults are counted in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from gateway.profile.effective import as_written
from gateway.profile.loader import Loaded
from gateway.profile.positions import KeyPath, dotted
from gateway.profile.profile import Profile
from gateway.profile.workers import needs_restart_of_workers


@dataclass(frozen=True, slots=True)
class Difference:
    """One key; the values are TOML, as a profile would have to write them, None where it is not set."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """In one line."""
        if self.before is None:
            return f"+ {self.key} = {self.after}"
        if self.after is None:
            return f"- {self.key} = {self.before}"
        return f"~ {self.key} = {self.before} -> {self.after}"


def differences(before: Loaded, after: Loaded) -> list[Difference]:
    """Every key that differs, in the order of the sections.

    Secrets are compared and never shown: they stand there as `${…}`, as the profile has them.
    """
    return list(
        _Comparing(before, after).of((), *(each.profile.model_dump(exclude_none=True) for each in (before, after)))
    )


def needs_restart(before: Profile, after: Profile) -> list[str]:
    """The keys that differ and that a reload can't change in a process that runs."""
    found = ["opentelemetry"] if before.opentelemetry != after.opentelemetry else []
    found += ["cache.shared"] if before.cache.shared != after.cache.shared else []
    found += ["server.front"] if before.server.front != after.server.front else []
    several = max(before.server.workers, after.server.workers) > 1
    return [*found, *(needs_restart_of_workers(before, after) if several else [])]


class _Comparing:
    def __init__(self, before: Loaded, after: Loaded) -> None:
        self._before = before.written
        self._after = after.written

    def of(self, path: KeyPath, before: Any, after: Any) -> Iterator[Difference]:
        """What differs below `path`; None is what is not there."""
        if before == after:
            return
        tables = [value for value in (before, after) if value is not None]
        if all(isinstance(table, Mapping) and table for table in tables):
            there, then = before or {}, after or {}
            for key in [*there, *(key for key in then if key not in there)]:
                yield from self.of((*path, key), there.get(key), then.get(key))
            return
        shown = _toml(as_written(before, self._before, path)), _toml(as_written(after, self._after, path))
        yield Difference(dotted(path), shown[0], shown[1] if shown[0] != shown[1] else f"{shown[1]} (filled in anew)")


def _toml(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) or "" for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{dotted((key,))} = {_toml(each)}" for key, each in value.items()) + "}"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")
