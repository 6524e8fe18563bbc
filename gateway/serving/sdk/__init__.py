"""The MCP SDK as this gateway uses it. Over HTTP it is imported when a request needs it: a second, and 30 MB."""
