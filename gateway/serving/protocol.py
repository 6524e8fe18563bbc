"""Names and numbers of MCP and JSON-RPC that are needed before the SDK is imported, which takes a second and 30 MB."""

from __future__ import annotations

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""The revisions that begin with initialize, oldest first."""
MODERN_VERSION = "2026-07-28"
"""The newest revision in which each request stands for itself."""

# Keys of `_meta` (MCP 2026-07-28, "Base Protocol").
PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"

# Codes of errors (JSON-RPC 2.0, section 5.1).
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

HTTP_STATUS = {-32700: 400, -32600: 400, -32602: 400, -32020: 400, -32021: 400, -32022: 400, -32601: 404}
"""The status of an answer whose error has this code, in the modern era; of any other it is 200."""
