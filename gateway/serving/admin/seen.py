"""What the pages that only look need of a gateway: it may be one, or several workers as one."""

from __future__ import annotations

from typing import Protocol

from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile
from gateway.watch.watching import Watching


class Seen(Protocol):
    """A gateway to look at."""

    @property
    def profile(self) -> Profile:
        """What it runs on."""

    @property
    def loaded(self) -> Loaded | None:
        """How that came to be."""

    @property
    def watching(self) -> Watching:
        """What is known of it."""
