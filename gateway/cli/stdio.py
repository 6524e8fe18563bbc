"""`gateway stdio`: MCP over stdin and stdout, for a local agent."""

from __future__ import annotations

from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName


def stdio(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Serve MCP over stdin and stdout until stdin closes, or SIGTERM or SIGINT."""
    from gateway.cli.agent import serve_agent  # other commands need nothing of it

    return serve_agent(profile, set_)
