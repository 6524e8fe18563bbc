"""Since when kept documents are untrue to a tool: what calls of tools with `invalidates` have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.pipeline.glob import Glob

_MOST = 10_000
"""Tags whose time is remembered; of more, all are taken to have been invalidated just now."""
_OF_DOCUMENTS = ("upstream:", "floating:")
"""Tags that documents have themselves: a purge of these takes them, in every tier and for good."""


class Invalidated:
    """Knows when each tag was last invalidated, so that nothing with this tag is made of documents from before that.

    A purge by a tool's tag takes the answers that have it. The documents below them are shared between tools and
    arguments and have no such tag: an answer made anew of one from before the change would be the old answer. What was
    invalidated before a restart is not known any more, so every tag that one of `globs` can make counts as invalidated
    at the start.
    """

    def __init__(self, globs: Iterable[str], clock: Callable[[], float]) -> None:
        self.globs = frozenset(globs)
        self._globs = [Glob(glob) for glob in self.globs]
        self._clock = clock
        self._before = clock()
        # By hash: a tag may be as long as an argument. Two that share one are invalidated together, which does no harm.
        self._times: dict[int, float] = {}

    def record(self, tag: str) -> None:
        """What has this tag has changed by now."""
        if len(self._times) >= _MOST:
            self._times.clear()
            self._before = self._clock()
        self._times[hash(tag)] = self._clock()

    def __bool__(self) -> bool:
        """Whether any tool invalidates anything."""
        return bool(self._globs)

    def since(self, tags: Iterable[str]) -> float:
        """Up to when documents are of no use for an answer with these tags; -inf where all of them are."""
        times = (self._times.get(hash(tag), self._before) for tag in tags if self._can_be(tag))
        return max(times, default=float("-inf"))

    def _can_be(self, tag: str) -> bool:
        return not tag.startswith(_OF_DOCUMENTS) and any(glob.matches(tag) for glob in self._globs)
