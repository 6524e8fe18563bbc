"""Load on any MCP server: what to ask, when, by which client; what came of it, and whether that will do."""
