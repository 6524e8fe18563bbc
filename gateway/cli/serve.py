"""`gateway serve`: MCP over streamable HTTP, until it is told to stop."""

from __future__ import annotations

from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName


def serve(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Serve MCP over HTTP, and the admin site, until SIGTERM or SIGINT; SIGHUP reloads the profile."""
    from gateway.cli.serving import serve_clients  # other commands need nothing of it

    return serve_clients(profile, set_)
