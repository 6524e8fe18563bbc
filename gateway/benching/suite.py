"""The suite: every subject, from the innermost part to the whole."""

from __future__ import annotations

from gateway.benching import calls, pure, served, tiers
from gateway.benching.model import Subject

SUITE: tuple[Subject, ...] = (*tiers.SUBJECTS, *pure.SUBJECTS, *calls.SUBJECTS, *served.SUBJECTS)
