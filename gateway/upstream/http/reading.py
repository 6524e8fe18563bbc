"""What an answer is taken for, and what it becomes: JSON of XML, Markdown of HTML, UTF-8 of any text."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gateway.errors import UpstreamInvalid
from gateway.printable import printable
from gateway.profile.fetch import Html, ReadAs
from gateway.upstream.body import Bound
from gateway.upstream.content import checked_body, is_html, is_xml, parse_content_type
from gateway.upstream.model import JSON

_TYPES: dict[ReadAs, str] = {"json": JSON, "text": "text/plain", "xml": "application/xml", "html": "text/html"}

_AT_ONCE = 16_384
"""Bytes up to which a conversion takes a millisecond or two; others go to a thread."""


class Reader:
    """Reads the answers of one upstream."""

    def __init__(self, upstream: str, bound: Bound, read_as: ReadAs | None = None) -> None:
        self._upstream = upstream
        self._bound = bound
        self._read_as = read_as
        # Each holds its document several times over. One that was given up goes on to its end, and keeps its place.
        self._converters = trio.CapacityLimiter(2)

    async def read(
        self, body: bytes, content_type: str, read_as: ReadAs | None = None, html: Html | None = None
    ) -> tuple[bytes, str]:
        """The document that `body` is, and its media type.

        `read_as` is what it is, whatever its Content-Type says; `html` is what becomes of a page. XML is JSON
        then, unless it is read as text. Raises UpstreamInvalid for what is not what it says.
        """
        media_type, charset = parse_content_type(content_type)
        read_as = read_as or self._read_as
        if read_as is not None:
            media_type = _TYPES[read_as]
        text = checked_body(self._upstream, "the answer", body, media_type, charset)
        if is_xml(media_type):
            from gateway.upstream.http.xml_json import xml_as_json

            return await self._converted("XML", xml_as_json, text), JSON
        if html is None:
            return text, media_type
        if not is_html(media_type):
            found = printable(media_type) or "no Content-Type"
            hint = 'html of the fetch expects a page; if it is one, say read_as = "html"'
            raise UpstreamInvalid(self._upstream, f"the answer is {found}, and {hint}")
        from gateway.upstream.http.html_text import html_as

        page = html
        made = await self._converted("HTML", lambda text: html_as(text, page, self._bound.size), text)
        return made, JSON if html.to == "elements" else f"text/{'markdown' if html.to == 'markdown' else 'plain'}"

    async def _converted(self, kind: str, convert: Callable[[bytes], bytes], text: bytes) -> bytes:
        try:
            if len(text) <= _AT_ONCE:
                return convert(text)
            return await trio.to_thread.run_sync(convert, text, limiter=self._converters, abandon_on_cancel=True)
        except ValueError as error:
            reason = printable(str(error), 200)
            raise UpstreamInvalid(self._upstream, f"the answer is no {kind} that can be read: {reason}") from None
