"""From a base address and a document's path to the address that is asked: the intended host, port and folder, or none.

A path comes from the catalogue, which encodes what agents say; it is checked here all the same, because this is the
last place before the wire.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote, urlsplit

import httpx2

from gateway.errors import UpstreamError, UpstreamRejected
from gateway.printable import printable
from gateway.profile.templates import Field, parse_template

_LITERAL = "/%:@!$&'()*+,;=~"
"""Characters of a profile's own address that stay as they are (RFC 3986, section 3.3, and `%` of what is encoded)."""

_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""A path of RFC 3986, section 3.3, encoded: no `?`, `#`, backslash, space or control character."""

_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f]")


class BaseAddress:
    """The address that documents of an upstream are under; `{version}` in its path stands for the release.

    `url` is a template with plain text for scheme, host and port, as the profile guarantees.
    """

    def __init__(self, upstream: str, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = upstream
        self._path = parse_template(parts.path.rstrip("/"))
        try:
            self.origin = httpx2.URL(f"{parts.scheme}://{parts.netloc}/")
        except httpx2.InvalidURL as error:
            raise UpstreamRejected(upstream, f"{printable(url)} is not an address: {error}") from None

    @classmethod
    def plain(cls, upstream: str, url: str) -> BaseAddress:
        """The address of a `url` that is no template: braces in it are braces."""
        return cls(upstream, url.replace("{", "{{").replace("}", "}}"))

    def __str__(self) -> str:
        """Scheme, host and port."""
        return str(self.origin).rstrip("/")

    def join(self, path: str, version: str | None = None, query: Sequence[tuple[str, str]] = ()) -> httpx2.URL:
        """The address of the document `path` of a release.

        `path` is encoded and relative; one slash in front is allowed, none means the base itself. `version` and each
        name and value of `query` are plain text and stay one path segment, one name, one value.
        Raises UpstreamRejected for a path that could lead to another host, port or folder.
        """
        base = "".join(self._filled(part, version) for part in self._path)
        checked_path(self._upstream, base)
        joined = f"{base}/{checked_path(self._upstream, path)}" if path else base or "/"
        target = joined + self._query(query)
        url = self.origin.copy_with(raw_path=target.encode("ascii"))
        # The client may rewrite what it is given. What is sent must be what was checked.
        same_origin = (url.scheme, url.raw_host, url.port) == (
            self.origin.scheme,
            self.origin.raw_host,
            self.origin.port,
        )
        if url.raw_path != target.encode("ascii") or not same_origin or url.userinfo:
            raise self._refused("the address", target)
        return url

    def _filled(self, part: str | Field, version: str | None) -> str:
        if isinstance(part, str):
            return quote(part, safe=_LITERAL)
        if part.name != "version":
            raise UpstreamRejected(self._upstream, f"only {{version}} can stand in base_url, not {{{part.name}}}")
        if not version:
            raise UpstreamRejected(self._upstream, "base_url has a {version}, but the fetch names none")
        return self._encoded(version)

    def _query(self, query: Sequence[tuple[str, str]]) -> str:
        pairs = "&".join(f"{self._encoded(name)}={self._encoded(value)}" for name, value in query)
        return f"?{pairs}" if pairs else ""

    def _encoded(self, text: str) -> str:
        try:
            return quote(text, safe="")
        except UnicodeEncodeError:
            raise self._refused("the value", text) from None

    def _refused(self, what: str, text: str) -> UpstreamError:
        return UpstreamRejected(self._upstream, f"{what} {printable(text)!r} can't be sent as it is")


def checked_path(upstream: str, path: str) -> str:
    """The encoded, relative `path` without its one leading slash, when it can only mean what it says.

    Raises UpstreamRejected for a network path (`//host`), empty, `.` and `..` segments (also encoded, encoded twice,
    between encoded slashes, or before a `;`), backslashes, control characters, and whatever is not encoded.
    """
    relative = path.removeprefix("/")
    segments = relative.split("/")
    twice_decoded = unquote(unquote(relative, errors="replace"), errors="replace")
    hidden = {segment.partition(";")[0] for segment in twice_decoded.split("/")}
    if (
        not _PATH.fullmatch(relative)
        or "" in segments[:-1]
        or not hidden.isdisjoint({".", ".."})
        or _FORBIDDEN.search(twice_decoded)
    ):
        raise UpstreamRejected(upstream, f"the path {printable(path)!r} could lead elsewhere and is not sent")
    return relative
