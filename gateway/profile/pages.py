"""`pages`: how an answer goes on, for upstreams that give long ones in pieces."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.profile.section import Expression, Section


class _Paged(Section):
    items: Expression = "@"
    """JMESPath from a page to its array; `items` of the document is these arrays joined."""
    max: Annotated[int, Field(ge=1, le=1000)] = 10
    """Most pages to ask for."""
    truncate: bool = False
    """Where there are more pages: true keeps what there is (`truncated` of the document says so), false is an error."""


class LinkedPages(_Paged):
    """The answer says where the next page is."""

    by: Literal["link"]
    """Says that pages are linked: by a `Link` header with `rel="next"` (RFC 8288), followed on the same origin only."""
    next: Expression | None = None
    """JMESPath from a page to the next one's address, for upstreams that say it there instead."""


class CursorPages(_Paged):
    """The answer has a cursor, to be sent back for the next page."""

    by: Literal["cursor"]
    """Says that pages go by cursor."""
    cursor: Expression
    """JMESPath from a page to the cursor; null, false and empty text end it."""
    parameter: Annotated[str, Field(min_length=1)]
    """The query parameter that takes the cursor."""


class NumberedPages(_Paged):
    """Pages are counted, or skipped by an offset."""

    by: Literal["page"]
    """Says that pages go by number; the first one without items is the end."""
    parameter: Annotated[str, Field(min_length=1)] = "page"
    """The query parameter that takes the number."""
    start: Annotated[int, Field(ge=0)] = 1
    """The first number."""
    step: Annotated[int, Field(ge=1)] = 1
    """What is added for the next page; for an offset, the items of a page."""
    size: Annotated[int, Field(ge=1)] | None = None
    """How many items a full page has: one with fewer is the last."""


Pages = Annotated[LinkedPages | CursorPages | NumberedPages, Field(discriminator="by")]
"""Any way of paging, told apart by `by`."""
