"""One HTTP answer out of the bytes of a connection, by llhttp."""

from __future__ import annotations

from typing import Any, cast

import httptools


class BadAnswer(Exception):
    """What came back is no HTTP."""


class Exchange:
    """The answers of one connection, one after the other: `begin` before each request, `feed` until it is `done`."""

    __slots__ = (
        "_body",
        "_delimited",
        "_length",
        "_parser",
        "content_type",
        "done",
        "keep_alive",
        "session",
        "size",
        "status",
    )

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last answer."""
        self._body: bytes | list[bytes] = b""
        self._delimited = False
        self.status = 0
        self.content_type = b""
        self.session: bytes | None = None
        self.size = 0
        self.done = False
        self.keep_alive = True

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return self._body if isinstance(self._body, bytes) else b"".join(self._body)

    def feed(self, data: bytes) -> None:
        """Read on. Raises BadAnswer."""
        self.size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadAnswer(str(error) or type(error).__name__) from error

    def end(self) -> bool:
        """The connection has ended: whether that was the end of an answer that says nothing of its length."""
        return self.status != 0 and not self._delimited and not self.done

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name == b"content-type":
            self.content_type = value
        elif name == b"content-length" or name == b"transfer-encoding":
            self._delimited = True
        elif name == b"mcp-session-id":
            self.session = value

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Called by the parser, once for most answers."""
        if not self._body:
            self._body = data
        elif isinstance(self._body, list):
            self._body.append(data)
        else:
            self._body = [self._body, data]

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self.status < 200:  # 100 Continue and the like come ahead of the answer
            self.status = 0
            return
        self.done = True
        self.keep_alive = cast("bool", self._parser.should_keep_alive())
