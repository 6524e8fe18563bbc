"""What is wrong with a profile, and where: values that print as a person, and an editor, want to read them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gateway.printable import printable
from gateway.profile.positions import KeyPath, dotted

_TAB = "\t"
_WIDTH = 140
"""Longer lines of a profile are shown around the caret only."""

_NEAR = 65.0
"""From this similarity (0 to 100) a name is worth asking "did you mean"; found by trying usual slips."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a key path; the loader knows the file, and makes a Fault of it.

    `found` is left out where it is the value itself. `detail` explains `expected` and may quote the
    value, so it is left out where the value holds a secret. `absent` marks what another file may supply; of a
    `secret` neither the value nor its line is ever shown.
    """

    path: KeyPath
    expected: str
    found: str | None = None
    suggestion: str | None = None
    detail: str | None = None
    at: Literal["key", "value"] = "value"
    absent: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a profile can't be used.

    `str()` begins with `file:line:column: key: expected X, found Y`, then the line itself with a caret
    and, where a name is near, what was probably meant. `file` is a file, an environment variable or
    `--set`; only the first has lines.
    """

    file: str
    line: int | None = None
    column: int | None = None
    key: KeyPath = ()
    expected: str = ""
    found: str = ""
    source_line: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        sentence = f"expected {self.expected}, found {self.found}"
        hint = f"did you mean {self.suggestion}?" if self.suggestion else None
        return _layout(self.file, self.line, self.column, self.key, sentence, self.source_line, hint)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Keys that contradict each other, the likeliest to be wrong first; the loader makes an Advice of it."""

    paths: tuple[KeyPath, ...]
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that a profile may say, and that its author hardly means.

    `str()` begins with `file:line:column: key: warning: problem`; `remedy` says what to change.
    """

    file: str
    line: int | None
    column: int | None
    key: KeyPath
    problem: str
    remedy: str
    source_line: str | None = None

    def __str__(self) -> str:
        sentence = f"warning: {self.problem}"
        return _layout(self.file, self.line, self.column, self.key, sentence, self.source_line, self.remedy)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be: a slip of it, or the only one it begins."""
    from rapidfuzz import fuzz, process  # only once something is misspelled

    names = list(known)
    begun = [name for name in names if len(word) > 2 and name.lower().startswith(word.lower())]
    if len(begun) == 1:
        return begun[0]
    match = process.extractOne(word, names, scorer=fuzz.ratio, processor=str.lower, score_cutoff=_NEAR)
    return str(match[0]) if match else None


def listed(names: Iterable[str], *, last: str = "or") -> str:
    """Names as a phrase: `a, b or c`."""
    *rest, final = names
    return f"{', '.join(rest)} {last} {final}" if rest else final


def shown(value: Any) -> str:
    """A value of a profile as it is found in a message: scalars as TOML writes them, the rest by kind."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = value if len(value) <= 60 else f"{value[:59]}…"
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{printable(quoted, None, kept=_TAB)}"'
        case datetime.datetime() | datetime.date() | datetime.time():
            return f"the date or time {value.isoformat()}"
        case dict():
            return "a table" if value else "an empty table"
        case list():
            return "an array" if value else "an empty array"
        case _:
            return str(value)


def _layout(
    file: str,
    line: int | None,
    column: int | None,
    key: KeyPath,
    sentence: str,
    source_line: str | None,
    hint: str | None,
) -> str:
    place = ":".join([file, *(str(number) for number in (line, column) if number is not None)])
    rows = [": ".join([place, *([dotted(key)] if key else []), sentence])]
    if source_line is not None and line is not None and column is not None:
        text, before = _window(printable(source_line, None, kept=_TAB), column - 1)
        rows.append(f"{line:>6} | {text}")
        rows.append(f"{'':>6} | {before}^")
    if hint:
        rows.append(f"{'':>6}   {hint}")
    return "\n".join(rows)


def _window(text: str, at: int) -> tuple[str, str]:
    """What to show of a line, and the blanks (tabs kept, so that it lines up) that lead to its character `at`."""
    if len(text) > _WIDTH:
        start = max(0, min(at - _WIDTH // 2, len(text) - _WIDTH))
        head, tail = "…" if start else "", "…" if start + _WIDTH < len(text) else ""
        text, at = f"{head}{text[start : start + _WIDTH]}{tail}", at - start + len(head)
    return text, "".join("\t" if character == "\t" else " " for character in text[:at].ljust(at))
