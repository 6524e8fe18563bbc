"""Request headers, checked before the HTTP client sees them: it lets CR and LF through."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.errors import UpstreamRejected
from gateway.printable import printable

Header = tuple[str, str]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5: all but the tab

RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""They frame or route the message, or ask for something else than a whole document: the gateway's to set."""


def checked_headers(upstream: str, headers: Sequence[Header], own: Sequence[Header] = ()) -> list[tuple[bytes, bytes]]:
    """`headers` and then the gateway's `own`, as bytes; a later header takes the place of an earlier of the same name.

    Raises UpstreamRejected for a name that is no token or is reserved, and for a value with a line break or another
    control character. The sentence holds no value: it may be a credential.
    """
    checked: dict[str, tuple[bytes, bytes]] = {}
    for name, value in (*headers, *own):
        if not _TOKEN.fullmatch(name):
            raise UpstreamRejected(upstream, f"{printable(name)!r} is not the name of a header")
        if name.lower() in RESERVED and (name, value) not in own:
            raise UpstreamRejected(upstream, f"the header {name} is the gateway's own and can't be set")
        if _CONTROL.search(value):
            raise UpstreamRejected(upstream, f"the value of the header {name} has a line break or a control character")
        try:
            checked[name.lower()] = name.encode(), value.strip(" \t").encode()
        except UnicodeEncodeError:
            raise UpstreamRejected(upstream, f"the value of the header {name} is not valid Unicode") from None
    return list(checked.values())
