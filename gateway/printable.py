"""Foreign text made fit for people: an answer's header, a line of a profile, a version that an agent made up.

A terminal acts on what is not printable, and who reads a log takes a line feed for a new entry.
"""

from __future__ import annotations


def printable(text: str, limit: int | None = 80, *, kept: str = "") -> str:
    """`text` on one line, at most `limit` characters; whatever is not printable, nor one of `kept`, becomes `?`."""
    shown = text if limit is None or len(text) <= limit else text[: limit - 1] + "…"
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() or character in kept else "?" for character in shown)


def escaped(text: str) -> str:
    r"""`text` on one line, with escapes such as `\n` and `\x1b` for what is not printable, so that nothing is lost."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )
