"""From text to the terms that are indexed and asked for.

Chinese, Japanese and Korean have no spaces between words, so a run of their characters becomes its overlapping pairs
and, at the end, the last character alone: any two neighbours can be found, and any single one as a prefix. Other words
are taken as they are, and names such as `autoLoading` also as their parts. FTS5 then folds and stems (`porter
unicode61`) what stands between spaces.

Measured on the documentation of a component library in English and Chinese (107 pages each, 32 and 27 questions such as
"how do I disable a button"; the right page first):

    trigram tokenizer                25 of 32    15 of 27    (Chinese words of two characters are never found)
    porter unicode61 as it is        27 of 32     9 of 27    (a sentence of Chinese is one word)
    pairs, then porter unicode61     28 of 32    23 of 27    (chosen; what is missed are other words for the same thing)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_PAIRED = "[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
"""Han, Hiragana, Katakana, Hangul (Unicode, blocks)."""
_WORD = re.compile(rf"({_PAIRED}+)|((?:(?!{_PAIRED})[^\W_])+)")
_PART = re.compile(r"[A-Z]+[0-9]*(?![a-z0-9])|[A-Z]?[a-z]+[0-9]*")
_MAX_TERM = 64
"""Characters of a word that count: longer ones are hashes and data."""


@dataclass(frozen=True, slots=True)
class Term:
    """What is indexed for a place of a text."""

    text: str
    start: int
    end: int
    paired: bool = False
    """Of a script without spaces; then two characters, or one at the end of a run."""


def terms(text: str) -> Iterator[Term]:
    """The terms of `text` in order, with where each stands."""
    for match in _WORD.finditer(text):
        start, end = match.span()
        if match[1]:
            for at in range(start, end):
                yield Term(text[at : min(at + 2, end)], at, min(at + 2, end), paired=True)
            continue
        word = folded(match[2])
        if word:
            yield Term(word, start, end)
        parts = list(_PART.finditer(match[2]))
        if len(parts) > 1 and sum(len(part[0]) for part in parts) == end - start:
            yield from (Term(part[0].lower(), start + part.start(), start + part.end()) for part in parts)


def folded(word: str) -> str:
    """A word as it is compared: full width like half width, upper like lower case."""
    whole = unicodedata.normalize("NFKC", word[:_MAX_TERM]).casefold()
    return "".join(character for character in whole if character.isalnum())


def indexed(text: str) -> str:
    """The terms of `text` between spaces, as FTS5 gets them; as many words as there are terms."""
    return " ".join(term.text for term in terms(text))


_ENGLISH = """a about add all an and any are as at be been by can could describe did do does doing for from get give
had has have having help how i if in into is it its like make me my need of on or our please show should so tell than
that the their them then there these they this those to use used using want was way we were what when where which while
who why will with would you your"""
"""Articles, pronouns, prepositions, auxiliaries, and what a question about a manual is wrapped in."""
_CHINESE = (
    """如何 怎么 怎样 什么 为什 哪些 哪个 哪里 可以 一个 一下 是否 能否 能不 不能 请问 我想 想要 需要 使用 时候"""
)
"""As pairs."""

STOP_WORDS = frozenset(_ENGLISH.split()) | frozenset(_CHINESE.split())
"""Words that are in every question and tell nothing apart."""
