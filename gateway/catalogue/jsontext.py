"""Values as JSON text, also those that orjson gives up on."""

from __future__ import annotations

import json
from typing import Any

from gateway.packed import packed_json


def to_json(value: Any) -> bytes:
    """The JSON of `value`, without spaces; integers may be of any size.

    Raises ValueError for what JSON can't hold, and for what is nested too deeply to be written.
    """
    try:
        return packed_json(value)
    except TypeError:  # an integer beyond 64 bits
        return strict_json(value).encode()


def strict_json(value: Any, *, sort_keys: bool = False) -> str:
    """The JSON of `value` by the standard library, which refuses NaN and infinity; raises ValueError."""
    try:
        text = json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text
