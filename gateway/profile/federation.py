"""`[federation]`: what is remembered of the MCP servers whose tools are federated."""

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section


class Federation(Section):
    """`[federation]`: what other MCP servers offer, as it was when it was accepted."""

    pins: Annotated[str, Field(min_length=1)] = "~/.local/state/gateway/pins"
    """The folder with a file for each `mcp` upstream: its definitions as they were first seen or accepted since."""
