"""The client side of MCP: a server that is started or reached, what it offers, and requests to it."""
