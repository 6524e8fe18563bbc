"""MCP over stdin and stdout, for one local agent: answered before the gateway is open where that can be."""
