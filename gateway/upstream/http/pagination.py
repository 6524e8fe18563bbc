"""Answers that come in pages: asked for one after the other, and joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

import httpx2
import orjson

from gateway.errors import UpstreamInvalid
from gateway.pipeline.directives import Directives, strictest
from gateway.printable import printable
from gateway.profile.pages import CursorPages, LinkedPages, NumberedPages, Pages
from gateway.upstream.client import Answer
from gateway.upstream.content import is_json
from gateway.upstream.http.expression import Expression
from gateway.upstream.http.links import next_link, same_origin
from gateway.upstream.http.reading import Reader
from gateway.upstream.http.sending import Sender
from gateway.upstream.model import JSON, Fetched, Wanted
from gateway.upstream.policies.deadline import Doing, deadline


async def fetch_pages(sender: Sender, reader: Reader, wanted: Wanted, pages: Pages) -> Fetched:
    """All pages of `wanted` as one document, `{"items": […], "truncated": false}`, within the upstream's timeout.

    `max_response_size` bounds all pages together. Raises UpstreamError: also when one page fails, leads elsewhere or
    back, or is not the last one that may be asked for, unless `pages.truncate` says that this is all right.
    """
    book = _Book(sender, reader, wanted, pages)
    doing = Doing()
    with deadline(sender.name, sender.timeout, doing):
        while book.further is not None and book.read < pages.max:
            doing.now = f"reading page {book.read + 1}"
            await book.turn()
    if book.further is not None and not pages.truncate:
        reason = f"the answer has more than {pages.max} pages (pages.max of the fetch); truncate = true takes these"
        raise UpstreamInvalid(sender.name, reason)
    return book.whole()


class _Book:
    """The pages that were read so far, and where the next one is."""

    def __init__(self, sender: Sender, reader: Reader, wanted: Wanted, pages: Pages) -> None:
        self._sender = sender
        self._reader = reader
        self._pages = pages
        self._wanted = wanted if not isinstance(pages, NumberedPages) else _with(wanted, pages.parameter, pages.start)
        self._items = Expression(sender.name, "pages.items", pages.items)
        self._onward = _onward(sender.name, pages)
        self._pieces: list[bytes] = []
        self._size = 0
        self._directives: list[Directives] = []
        self._last = b""
        self.read = 0
        self.further: httpx2.URL | None = sender.url(self._wanted)
        self._seen = {str(self.further)}

    async def turn(self) -> None:
        """Read the next page."""
        url = self.further
        if url is None:
            return
        sender, bound = self._sender, self._sender.bound
        answer = await sender.send(self._wanted, url)
        self.read += 1
        self._size += len(answer.body)
        if self._size > bound.size:
            raise bound.exceeded(sender.name, f"the answer of {self.read} pages")
        page = await self._parsed(answer)
        items = self._items.of(page, f"page {self.read} of the answer")
        if not isinstance(items, list):
            raise self._invalid("has no array where pages.items looks for it")
        if items:
            self._pieces.append(orjson.dumps(items)[1:-1])
        self._directives.append(answer.directives)
        self.further = self._next(url, answer, page, items)
        if self.further is not None and str(self.further) in self._seen:
            raise self._invalid("leads back to one that was read before")
        self._seen.add(str(self.further))

    def whole(self) -> Fetched:
        """The document. It has no validators: those of one page say nothing about the others."""
        truncated = b"true" if self.further is not None else b"false"
        body = b'{"items":[%b],"truncated":%b}' % (b",".join(self._pieces), truncated)
        return Fetched(body, JSON, directives=strictest(self._directives))

    async def _parsed(self, answer: Answer) -> Any:
        wanted = self._wanted
        body, media_type = await self._reader.read(answer.body, answer.content_type, wanted.read_as, wanted.html)
        if not is_json(media_type):
            raise self._invalid(f"is {printable(media_type) or 'of no type'}, where items are looked for in JSON")
        if isinstance(self._pages, NumberedPages) and body == self._last:
            raise self._invalid(f"is the same as the one before: the upstream ignores {self._pages.parameter}")
        self._last = body
        return orjson.loads(body)

    def _next(self, url: httpx2.URL, answer: Answer, page: Any, items: list[Any]) -> httpx2.URL | None:
        pages, sender = self._pages, self._sender
        onward = self._onward.of(page, f"page {self.read} of the answer") if self._onward is not None else None
        match pages:
            case LinkedPages():
                if self._onward is None:
                    onward = next_link(value for name, value in answer.headers if name == "link")
                if not onward:
                    return None
                if not isinstance(onward, str):
                    raise self._invalid("has no text where pages.next looks for an address")
                return same_origin(sender.name, url, onward)
            case CursorPages():
                if onward is None or onward is False or onward == "":
                    return None
                if not isinstance(onward, str | int) or onward is True:
                    raise self._invalid("has neither text nor a whole number where pages.cursor looks for it")
                return sender.url(_with(self._wanted, pages.parameter, onward))
            case NumberedPages():
                if not items or (pages.size is not None and len(items) < pages.size):
                    return None
                return sender.url(_with(self._wanted, pages.parameter, pages.start + pages.step * self.read))
            case _:
                assert_never(pages)

    def _invalid(self, why: str) -> UpstreamInvalid:
        return UpstreamInvalid(self._sender.name, f"page {self.read} of the answer {why}")


def _with(wanted: Wanted, parameter: str, value: str | int) -> Wanted:
    """`wanted` with a query parameter that takes the place of those of its name."""
    others = tuple(pair for pair in wanted.query if pair[0] != parameter)
    return replace(wanted, query=(*others, (parameter, str(value))))


def _onward(upstream: str, pages: Pages) -> Expression | None:
    """What finds the next page in a page, for those that say it there."""
    if isinstance(pages, CursorPages):
        return Expression(upstream, "pages.cursor", pages.cursor)
    if isinstance(pages, LinkedPages) and pages.next is not None:
        return Expression(upstream, "pages.next", pages.next)
    return None
