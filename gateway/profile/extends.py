"""From one file to all that it `extends`, each read once, in the order in which they are merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.profile.faults import Fault, Finding
from gateway.profile.positions import KeyPath
from gateway.profile.search import Search, real, same
from gateway.profile.source import Source, read_source
from gateway.profile.tree import from_source, place_fault

MAX_CHAIN = 32
"""Longest chain of files that extend each other; far more than anybody can follow."""


@dataclass(slots=True)
class Lineage:
    """The files of a profile, what others build on first; and what is wrong with finding and reading them."""

    search: Search
    sources: list[Source] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set, init=False)

    def follow(self, path: Path, chain: tuple[Path, ...] = ()) -> None:
        """Read the file at `path` and, before it, whatever it extends.

        A file that several extend is merged once, before the first that needs it: what is built on it
        is never undone by a second copy.
        """
        if real(path) in self._seen:
            return
        self._seen.add(real(path))
        source = read_source(path, self.search.show(path))
        if isinstance(source, Fault):
            self.faults.append(source)
            return
        for at, name in self._extended(source):
            found = self.search.extended(name, path)
            if isinstance(found, Fault):
                self._fault(source, Finding(at, found.expected, found.found, found.suggestion))
            elif any(same(found, earlier) for earlier in (*chain, path)):
                self._fault(source, self._loop(at, (*chain, path, found)))
            elif len(chain) >= MAX_CHAIN:
                self._fault(source, Finding(at, f"at most {MAX_CHAIN} files that extend each other", "more"))
            else:
                self.follow(found, (*chain, path))
        self.sources.append(source)

    def _extended(self, source: Source) -> list[tuple[KeyPath, str]]:
        """The names in `extends`, each with its key path."""
        names: Any = source.table.get("extends", [])
        if not isinstance(names, list):
            self._fault(source, Finding(("extends",), 'an array such as ["base.toml"]'))
            return []
        wrong = [index for index, name in enumerate(names) if not isinstance(name, str) or not name]
        for index in wrong:
            self._fault(source, Finding(("extends", index), 'the name of a profile such as "base.toml"'))
        return [(("extends", index), name) for index, name in enumerate(names) if index not in wrong]

    def _loop(self, at: KeyPath, chain: tuple[Path, ...]) -> Finding:
        first = next(index for index, path in enumerate(chain) if same(path, chain[-1]))
        return Finding(at, "no loop", " extends ".join(self.search.show(path) for path in chain[first:]))

    def _fault(self, source: Source, finding: Finding) -> None:
        self.faults.append(place_fault(from_source(source), finding))
