"""Foreign text made fit for a sentence: an answer's header, a version that an agent made up."""

from __future__ import annotations


def printable(text: str, limit: int = 80) -> str:
    """`text` on one line, at most `limit` characters; whatever a terminal would act on becomes `?`."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(character if character.isprintable() else "?" for character in shown)
