"""What a list of the catalogue holds, wherever its definitions come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Listing:
    """Definitions as clients see them, in a stable order."""

    definitions: tuple[Mapping[str, Any], ...] = ()
    holds: float = float("inf")
    """For how many more seconds their sources say that they hold."""
    private: bool = False
    """Whether a source says that they are not for everybody."""

    def and_then(self, other: Listing) -> Listing:
        """Both, one after the other; the least of what they promise."""
        return Listing(
            (*self.definitions, *other.definitions), min(self.holds, other.holds), self.private or other.private
        )
