"""The language of queries, and what FTS5 is asked instead: nothing of a query reaches FTS5 but quoted terms.

    button disabled       words; a text that has more of them, and rarer ones, comes first
    butt*                 every word that begins so
    "loading state"       has to be there, word for word
    +word                 has to be there
    -word  -"a phrase"    must not be there
    "a b" OR +c           one of them has to be there
                          nothing: every text, in the order of their paths

Whatever does not follow it is read as words, so that no query is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from gateway.upstream.search.terms import STOP_WORDS, Term, terms

MAX_LENGTH = 1000
"""Characters of a query that are read."""
MAX_TERMS = 32
"""Terms of a query that are asked for."""

_ELEMENT = re.compile(r'(?P<sign>[-+]?)"(?P<phrase>[^"]*)(?P<closed>"?)|(?P<sign2>[-+]?)(?P<word>[^\s"]+)')
_UNREADABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SHORTEST_STEM = 4
"""Letters of a word that is nowhere, from which on words that begin with it are looked for instead."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Terms that follow each other; with `prefix`, the last one may go on."""

    terms: tuple[str, ...]
    prefix: bool = False
    paired: bool = False

    def __str__(self) -> str:
        """As FTS5 has it. Terms are letters and digits only (see terms.py), so that quotes can't be broken out of."""
        return f'"{" ".join(self.terms)}"' + ("*" if self.prefix else "")


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood."""

    words: tuple[Phrase, ...]
    required: tuple[tuple[Phrase, ...], ...]
    """Of each, one has to be there."""
    excluded: tuple[Phrase, ...]
    problem: str | None = None
    """What was not taken as it was written, as a sentence."""
    everything: bool = False
    """Nothing is asked for in particular: the text is blank."""

    def expression(self, is_known: Callable[[Phrase], bool]) -> str | None:
        """What to MATCH; None when nothing is asked for. `is_known` tells whether a phrase is anywhere at all."""
        words = _nearest(self.words, is_known)
        wanted = [*(str(word) for word in words), *(str(each) for clause in self.required for each in clause)]
        if not wanted:
            return None
        clauses = [f"({' OR '.join(map(str, clause))})" for clause in self.required]
        found = " AND ".join([*clauses, f"({' OR '.join(wanted)})"])
        return f"({found}) NOT ({' OR '.join(map(str, self.excluded))})" if self.excluded else found


def parse(text: str, stop_words: Collection[str] = ()) -> Query:
    """The query that `text` means; never fails, and takes time linear in MAX_LENGTH whatever `text` is."""
    problems = [f"only the first {MAX_LENGTH} characters were read"] if len(text) > MAX_LENGTH else []
    text = _UNREADABLE.sub(" ", text[:MAX_LENGTH])
    if not text.strip():
        return Query((), (), (), everything=True)
    words: list[Phrase] = []
    clauses: list[list[Phrase]] = []
    excluded: list[Phrase] = []
    either = False
    for match in _ELEMENT.finditer(text):
        if match["word"] in ("OR", "AND"):
            either = match["word"] == "OR" and bool(clauses)
            continue
        sign = match["sign"] or match["sign2"] or ""
        if match["phrase"] is not None and not match["closed"]:
            problems.append('a " was never closed')
        phrase = _phrase(match["phrase"] if match["word"] is None else match["word"])
        if sign == "-":
            excluded += [phrase] if phrase is not None else []
        elif phrase is not None and (sign == "+" or match["word"] is None):
            if either:
                clauses[-1].append(phrase)
            else:
                clauses.append([phrase])
        elif match["word"] is not None:
            words += _words(match["word"])
        either = False
    stopped = STOP_WORDS | {word.lower() for word in stop_words}
    telling = [word for word in words if word.prefix or word.terms[0] not in stopped]
    if not telling and not clauses:
        telling = words
    asked = list(dict.fromkeys(telling))
    if len(asked) + sum(map(len, clauses)) + len(excluded) > MAX_TERMS:
        problems.append(f"only the first {MAX_TERMS} words were looked for")
    if not asked and not clauses:
        problems.append("there is no word to look for" + (" beside those that must not be there" if excluded else ""))
    required = tuple(tuple(clause[:MAX_TERMS]) for clause in clauses[:MAX_TERMS])
    sentence = "; ".join(problems)
    return Query(tuple(asked[:MAX_TERMS]), required, tuple(excluded[:MAX_TERMS]), sentence or None)


def plain_words(text: str) -> str:
    """The words of a query that stand there by themselves: not those in quotes, nor behind a sign."""
    found = _ELEMENT.finditer(_UNREADABLE.sub(" ", text[:MAX_LENGTH]))
    return " ".join(match["word"] for match in found if match["word"] is not None and not match["sign2"])


def _phrase(text: str) -> Phrase | None:
    """Terms in a row; None where there are none."""
    found = list(terms(text))
    if not found:
        return None
    last = found[-1]
    # A run of pairs ends with its last character alone. In a longer text the run goes on, so that one is not asked for.
    if last.paired and len(found) > 1 and len(last.text) == 1:
        found.pop()
    alone = last.paired and len(found) == 1 and len(last.text) == 1
    return Phrase(tuple(term.text for term in found)[:MAX_TERMS], text.endswith("*") or alone, last.paired)


def _words(text: str) -> list[Phrase]:
    """The terms of one word, each by itself: `auto-loading` is two, 禁用按钮 its pairs."""
    found = list(terms(text))
    runs_on = [term for index, term in enumerate(found) if not _is_end_of_run(found, index)]
    return [
        Phrase((term.text,), prefix=_goes_on(text, term) or (term.paired and len(term.text) == 1), paired=term.paired)
        for term in runs_on
    ]


def _goes_on(text: str, term: Term) -> bool:
    return text[term.end : term.end + 1] == "*"


def _is_end_of_run(found: list[Term], index: int) -> bool:
    """Whether this is the single character that ends a longer run: the pair before it has it already."""
    term = found[index]
    before = found[index - 1] if index else None
    return term.paired and len(term.text) == 1 and before is not None and before.end == term.end


def _nearest(words: Sequence[Phrase], is_known: Callable[[Phrase], bool]) -> list[Phrase]:
    """The words that are anywhere at all, and of the others what begins like them: like a pair's first character.

    A pair with a neighbour that is known stands between two words, and says nothing.
    """
    known = [word.prefix or is_known(word) for word in words]
    found: list[Phrase] = []
    for index, word in enumerate(words):
        beside = [words[at] for at in (index - 1, index + 1) if 0 <= at < len(words) and known[at]]
        if known[index]:
            found.append(word)
        elif word.paired and not any(other.paired and _overlap(word, other) for other in beside):
            found.append(Phrase((word.terms[0][:1],), prefix=True, paired=True))
        elif not word.paired and len(word.terms[0]) >= _SHORTEST_STEM:
            found.append(Phrase(word.terms, prefix=True))
    return found


def _overlap(one: Phrase, other: Phrase) -> bool:
    """Whether the pairs can be neighbours in a run."""
    return one.terms[0][-1:] == other.terms[0][:1] or other.terms[0][-1:] == one.terms[0][:1]
