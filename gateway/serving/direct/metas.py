"""What a request's `_meta` means to the answer: decided once for each that is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.serving.direct.clients import are_capabilities, is_client_info, is_log_level
from gateway.serving.protocol import CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, MODERN_VERSION, PROTOCOL_VERSION

_CHECKED = (PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL)
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
            return PROTOCOL_VERSION not in meta
        checked = {key: meta[key] for key in _CHECKED if key in meta}
        if checked.get(PROTOCOL_VERSION) != MODERN_VERSION:
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
    return (
        are_capabilities(meta.get(CLIENT_CAPABILITIES))
        and (CLIENT_INFO not in meta or is_client_info(meta[CLIENT_INFO]))
        and (LOG_LEVEL not in meta or is_log_level(meta[LOG_LEVEL]))
    )
