"""`type = "search"`: full-text search over the documents of another upstream."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.profile.section import Expression, Name, Section, Template, expected
from gateway.profile.units import Duration, Size

Positive = Annotated[float, Field(gt=0, le=1000)]
PARAMETERS = frozenset({"q", "limit", "offset"})
"""What a fetch of a search can ask for in its query, beside the fields of documents."""


def _one_double_star(value: str) -> str:
    if value.split("/").count("**") > 1 or any("**" in part and part != "**" for part in value.split("/")):
        raise expected('a path with at most one "**", as a whole segment')
    return value


class SearchListing(Section):
    """`listing`: the document that names the others."""

    upstream: Name | None = None
    """The upstream that has it; without it, the searched one."""
    path: str = ""
    """Its path."""
    query: dict[str, str] = {}
    """Query parameters."""
    select: Expression
    """JMESPath from that document to an array of paths."""


class SearchDocuments(Section):
    """`[[upstreams.NAME.documents]]`: some of the documents, and what is known of each by its path."""

    path: Annotated[Template, AfterValidator(_one_double_star)]
    """`docs/{page}.md`: a field is any text within a segment, and so is `*`; `**` is any number of segments."""
    each: dict[str, Annotated[tuple[str, ...], Field(min_length=1, strict=False)]] = {}
    """The only values of a field. When every field has some and there is no `*`, no list of documents is needed."""
    fields: dict[Name, Template] = {}
    """More fields, such as `url = "https://example.org/{page}"`. Every hit has these and those of `path`."""
    weight: Positive = 1.0
    """How much a hit in these documents counts, compared with others."""


class Weights(Section):
    """`weights`: how much a word counts by where it stands."""

    name: Positive = 8.0
    """In a field of the path."""
    title: Positive = 8.0
    """In the first heading."""
    headings: Positive = 4.0
    """In the headings that a section is under."""
    body: Positive = 1.0
    """In the text."""
    code: Positive = 0.3
    """In code blocks, which repeat themselves."""


class SearchUpstream(Section):
    """Full-text search over the documents of another upstream."""

    type: Literal["search"]
    """Says that this is a search."""
    upstream: Name
    """The upstream whose documents are searched."""
    strategy: Name
    """The strategy under which they are read, and an index is fresh or stale."""
    documents: Annotated[tuple[SearchDocuments, ...], Field(min_length=1, strict=False)]
    """Which documents; the first that fits a path is the one that counts."""
    listing: SearchListing | None = None
    """Where the paths are listed; a package and a folder list their files themselves."""
    path: str | None = None
    """A folder that keeps the indexes over a restart; without it they are in memory."""
    weights: Weights = Weights.unset()
    """How much a word counts by where it stands."""
    stop_words: tuple[str, ...] = Field(default=(), strict=False)
    """Words that say nothing, beside English and Chinese ones that are known."""
    synonyms: dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[str, Field(min_length=1)]] = {}
    """What else a word or phrase of a query means: `toast = "snackbar"` looks for both."""
    highlight: Annotated[tuple[str, ...], Field(min_length=2, max_length=2, strict=False)] = ("**", "**")
    """What stands before and after a found word in a snippet."""
    snippet_length: Annotated[int, Field(ge=20, le=2000)] = 240
    """Characters of a snippet, without the marks."""
    max_hits: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most hits in one answer."""
    max_releases: Annotated[int, Field(ge=1)] = 4
    """Releases whose index is kept; the one that was not asked for the longest goes."""
    max_documents: Annotated[int, Field(ge=1)] = 5000
    """Most documents in one index."""
    max_total_size: Annotated[Size, Field(gt=0)] = 64_000_000
    """Most text in one index."""
    readers: Annotated[int, Field(ge=1, le=100)] = 8
    """Documents that are read at once while an index is built."""
    patience: Annotated[Duration, Field(gt=0)] = 30.0
    """How long a call waits for the first index; the index is finished in any case."""
    build_timeout: Annotated[Duration, Field(gt=0)] = 300.0
    """Longest time for building an index."""
