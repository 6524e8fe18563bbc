"""What a profile's readers call something else: words that are looked for beside those of the query."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.upstream.search.query import MAX_LENGTH


class Synonyms:
    """Words and phrases with what else they mean."""

    def __init__(self, section: Mapping[str, str]) -> None:
        # Between words of Latin letters there are gaps, between Chinese ones there are none.
        self._known = [
            (re.compile(rf"(?<![a-z0-9]){re.escape(words.casefold())}(?![a-z0-9])"), more)
            for words, more in section.items()
        ]

    def widened(self, query: str) -> str:
        """The query with the synonyms of what it holds behind it, whatever its case; takes linear time."""
        read = query[:MAX_LENGTH]
        text = read.casefold()
        more = [synonym for pattern, synonym in self._known if pattern.search(text)]
        return " ".join([read, *more]) if more else query
