"""`gateway stdio`: MCP over stdin and stdout, for a local agent."""

from __future__ import annotations

from gateway.cli.agent import serve_agent
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName


def stdio(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Serve MCP over stdin and stdout until stdin closes, or SIGTERM or SIGINT."""
    return serve_agent(profile, set_)
