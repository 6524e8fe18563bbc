"""What a profile's readers call something else: words that are looked for beside those of the query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from gateway.upstream.search.query import MAX_TERMS, Query, parse, plain_words


class Synonyms:
    """Words and phrases with what else they mean."""

    def __init__(self, section: Mapping[str, str]) -> None:
        # Between words of Latin letters there are gaps, between Chinese ones there are none.
        self._known = [
            (re.compile(rf"(?<![a-z0-9]){re.escape(words.casefold())}(?![a-z0-9])"), parse(more).words)
            for words, more in section.items()
        ]

    def widened(self, query: Query, text: str) -> Query:
        """The query of this text with what its plain words mean besides, whatever their case; takes linear time."""
        plain = plain_words(text).casefold()
        more = [phrase for pattern, phrases in self._known if pattern.search(plain) for phrase in phrases]
        return replace(query, words=tuple(dict.fromkeys([*query.words, *more]))[:MAX_TERMS]) if more else query
