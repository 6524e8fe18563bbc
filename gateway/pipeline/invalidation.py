"""What a purge selects, and which loads a purge has overtaken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gateway.pipeline.glob import Glob

Kind = Literal["key", "tag", "glob", "all"]


@dataclass(frozen=True, slots=True)
class Selector:
    """The entries that a purge is about: one key, all with a tag, all whose key matches a glob, or all there are."""

    kind: Kind
    value: str = ""
    """The key, the tag, or the glob of keys, in which `*` is any text."""

    def matches(self, key: str, tags: Iterable[str]) -> bool:
        """Whether an entry of this key and these tags is selected."""
        match self.kind:
            case "key":
                return key == self.value
            case "tag":
                return self.value in tags
            case "glob":
                return _compiled(self.value).matches(key)
            case "all":
                return True


_compiled = lru_cache(maxsize=64)(Glob)


class Purges:
    """Remembers each purge for as long as a load from before it is under way.

    A load that started before a purge may bring what the purge was about, so it must not be written back: that is what
    `allows` decides. Loads from after the purge are not affected.
    """

    def __init__(self) -> None:
        self.generation = 0
        """How many purges there were."""
        self._log: deque[tuple[int, Selector]] = deque()
        self._holds: dict[int, int] = {}

    @contextmanager
    def load(self) -> Iterator[int]:
        """A load is under way; gives the generation at which it began, for `allows`."""
        generation = self.generation
        self.hold(generation)
        try:
            yield generation
        finally:
            self.release(generation)

    def hold(self, generation: int) -> None:
        """Remember the purges since `generation`, until `release` is called as often."""
        self._holds[generation] = self._holds.get(generation, 0) + 1

    def release(self, generation: int) -> None:
        """Undo one `hold`; forgets the purges that nobody needs any more."""
        self._holds[generation] -= 1
        if not self._holds[generation]:
            del self._holds[generation]
        oldest = min(self._holds, default=self.generation)
        while self._log and self._log[0][0] <= oldest:
            self._log.popleft()

    def record(self, selector: Selector) -> None:
        """A purge happens now."""
        self.generation += 1
        if self._holds:
            self._log.append((self.generation, selector))

    def spared(self, generation: int, key: str) -> bool:
        """Whether no purge since `generation` can have been about `key`, of whose tags nothing is known."""
        return not any(
            since > generation and (selector.kind != "key" or selector.value == key) for since, selector in self._log
        )

    def allows(self, generation: int, key: str, tags: Iterable[str]) -> bool:
        """Whether no purge since `generation` was about this entry."""
        return not any(since > generation and selector.matches(key, tags) for since, selector in self._log)
