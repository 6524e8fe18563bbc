"""What a request's `_meta` means to the answer: decided once for each that is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, LOG_LEVEL_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.methods import validate_client_request
from mcp_types.version import LATEST_MODERN_VERSION
from pydantic import ValidationError

_CHECKED = (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, LOG_LEVEL_META_KEY)
"""The keys that the protocol says something about, beside `progressToken`, which differs from request to request."""

_MOST = 1024
"""Verdicts that are remembered: clients are few, and one who sends ever new ones is no worse off than without."""
_LONG = 2048
"""Bytes of what is checked from which on its verdict is not remembered: what is kept of clients is bounded."""


class Metas:
    """Whether the SDK would accept the `_meta` of a request."""

    def __init__(self) -> None:
        self._known: dict[bytes, bool] = {}

    def accepts(self, meta: Mapping[str, Any], *, modern: bool) -> bool:
        """True where it is as the revision wants it; False where it is not, or where that is for the SDK to say."""
        token = meta.get("progressToken", 0)
        if type(token) not in (int, str):
            return False
        if not modern:
            return PROTOCOL_VERSION_META_KEY not in meta
        checked = {key: meta[key] for key in _CHECKED if key in meta}
        if checked.get(PROTOCOL_VERSION_META_KEY) != LATEST_MODERN_VERSION:
            return False
        key = orjson.dumps(checked)
        known = self._known.get(key)
        if known is None:
            known = _valid(checked)
            if len(key) <= _LONG:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key] = known
        return known


def _valid(meta: Mapping[str, Any]) -> bool:
    try:
        validate_client_request("tools/list", LATEST_MODERN_VERSION, {"_meta": meta})
    except ValidationError:
        return False
    return True
