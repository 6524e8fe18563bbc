"""Where an answer goes on: the links of its `Link` headers (RFC 8288)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import httpx2

from gateway.errors import UpstreamInvalid, UpstreamRejected
from gateway.printable import printable
from gateway.upstream.failures import shown

_LINK = re.compile(
    r"""\s*+<([^<>]*+)>((?:\s*+;\s*+[^\s=;,"]++\s*+(?:=\s*+(?:"(?:[^"\\]|\\.)*+"|[^\s;,"]*+))?)*+)\s*+(?:,|$)"""
)
_PARAMETER = re.compile(r""";\s*+([^\s=;,"]++)\s*+(?:=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"]*+)))?""")


def next_link(values: Iterable[str]) -> str | None:
    """The target of the first link with the relation "next" among `values` of `Link`, as it was written.

    Links of another context (`anchor`) are not this answer's; what can't be read ends its header's value.
    """
    for value in values:
        for target, parameters in _links(value):
            if "anchor" not in parameters and "next" in parameters.get("rel", "").lower().split():
                return target
    return None


def same_origin(upstream: str, url: httpx2.URL, target: str) -> httpx2.URL:
    """The address that `target` is in an answer from `url`, without its fragment.

    Raises UpstreamRejected where it is on another scheme, host or port, or holds a user name: what is sent may hold a
    credential, and only the profile says where to; UpstreamInvalid where it is no address.
    """
    try:
        # An answer may spell an address with what it should have encoded; a control character it may not.
        found = url.join(target).copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError):
        raise UpstreamInvalid(upstream, f"its next page {printable(target, 120)!r} is no address") from None
    if (found.scheme, found.host, _port(found)) != (url.scheme, url.host, _port(url)) or found.userinfo:
        reason = f"its next page is elsewhere, at {shown(found)}; nothing was sent there"
        raise UpstreamRejected(upstream, reason)
    return found


def _links(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    at = 0
    while at < len(value):
        link = _LINK.match(value, at)
        if link is None:
            return
        parameters: dict[str, str] = {}
        for name, quoted, plain in _PARAMETER.findall(link[2]):
            parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain)  # the first counts
        yield link[1].strip(), parameters
        at = link.end()


def _port(url: httpx2.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)
