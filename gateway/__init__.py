"""A declarative gateway between AI agents (MCP) and the APIs they read, tuned by TOML alone."""

__version__ = "0.1.0"
