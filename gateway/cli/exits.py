"""Exit codes, and the sentence that goes with a failure."""

from __future__ import annotations

import sys

from gateway.errors import GatewayError

FAILED = 1
MISUSED = 2
"""Arguments that no command takes; as most programs have it."""
INTERRUPTED = 128 + 2
"""As a shell counts a process that SIGINT ended."""


def report(error: GatewayError) -> int:
    """Say on stderr what went wrong; the exit code of a command that failed."""
    if sys.stderr is not None:
        sys.stderr.write(f"gateway: {error}\n")
    return FAILED
