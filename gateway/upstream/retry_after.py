"""When an upstream wants to be asked again: `Retry-After` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_to_wait(headers: Mapping[str, str]) -> int | None:
    """The seconds that an answer asks to wait; None where it says nothing that can be used.

    A date is counted from the answer's own `Date` where it has one: it was set by the same clock. One that has passed
    asks for nothing.
    """
    wish = headers.get("retry-after", "").strip()
    if wish.isascii() and wish.isdigit():
        return int(wish) if len(wish) < 10 else None
    at = _http_date(wish)
    if at is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.fromtimestamp(time.time(), UTC)
    seconds = math.ceil((at - now).total_seconds())
    return seconds if seconds > 0 else None


def _http_date(text: str) -> datetime | None:
    """Any of the three forms of an HTTP date (RFC 9110, section 5.6.7); they are all in UTC."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
