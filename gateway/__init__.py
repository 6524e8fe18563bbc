"""A declarative gateway between AI agents (MCP) and the APIs they read, tuned by TOML alone."""

from importlib.metadata import version

__version__ = version("gateway")
