"""MCP and the admin site, on sockets and pipes."""
