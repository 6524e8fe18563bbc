from __future__ import annotations

import mcp_types as types
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION

from gateway.serving import protocol


def test_everything_is_as_the_sdk_has_it() -> None:
    """It stands here, too, since the SDK takes long to import."""
    assert protocol.HANDSHAKE_VERSIONS == HANDSHAKE_PROTOCOL_VERSIONS
    assert protocol.MODERN_VERSION == LATEST_MODERN_VERSION
    assert protocol.HTTP_STATUS == ERROR_CODE_HTTP_STATUS
    assert (protocol.INVALID_PARAMS, protocol.INTERNAL_ERROR) == (types.INVALID_PARAMS, types.INTERNAL_ERROR)
    assert protocol.SERVER_INFO == types.SERVER_INFO_META_KEY
    assert protocol.CLIENT_INFO == types.CLIENT_INFO_META_KEY
    assert protocol.CLIENT_CAPABILITIES == types.CLIENT_CAPABILITIES_META_KEY
    assert protocol.PROTOCOL_VERSION == types.PROTOCOL_VERSION_META_KEY
    assert protocol.LOG_LEVEL == types.LOG_LEVEL_META_KEY
