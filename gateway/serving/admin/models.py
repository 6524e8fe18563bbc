"""What the admin API takes and gives: the shapes that its OpenAPI document describes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from gateway.pipeline.invalidation import Selector
from gateway.pipeline.model import Entry
from gateway.profile.documentation import documentation

MAX_PATTERN = 512
"""Characters of a tag or glob that can be asked for; entries with longer tags are reached by a glob of their keys."""


def _plain(value: str) -> str:
    if not 1 <= len(value) <= MAX_PATTERN or not value.isprintable():
        raise ValueError(f"expected 1 to {MAX_PATTERN} characters on one line")
    return value


Text = Annotated[str, AfterValidator(_plain)]


class Shape(BaseModel):
    """One object of the API; unknown members are refused. What stands below a member is its description."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON Schema with the descriptions, for which no source is read before somebody asks."""
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, text in documentation(cls).items():
            properties[name]["description"] = text
        return described


class PurgeRequest(Shape):
    """What to purge: exactly one of key, tag, glob, tool, upstream, strategy and all."""

    key: Annotated[str, Field(min_length=1)] | None = None
    """One entry."""
    tag: Text | None = None
    """All entries with a tag."""
    glob: Text | None = None
    """All entries whose key matches; `*` is any text, and nothing else is special."""
    tool: Text | None = None
    """All results of a tool."""
    upstream: Text | None = None
    """All documents of an upstream, and the results that are made of them."""
    strategy: Text | None = None
    """All results under a strategy."""
    all: Literal[True] | None = None
    """Everything."""
    soft: bool = False
    """Make them stale only: they may still stand in for an upstream that fails."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_dump(exclude_none=True, exclude={"soft"})) != 1:
            raise ValueError("expected exactly one of key, tag, glob, tool, upstream, strategy and all")
        return self

    @property
    def selector(self) -> Selector:
        """The entries that are meant."""
        match self.model_dump(exclude_none=True, exclude={"soft"}).popitem():
            case ("all", _):
                return Selector("all")
            case ("key" | "tag" | "glob" as kind, value):
                return Selector(kind, value)
            case (kind, value):
                return Selector("tag", f"{kind}:{value}")


class PurgeAnswer(Shape):
    """A purge that is done, and stays done."""

    purged: int
    """How many entries there were, counting each tier."""


class EntriesQuery(Shape):
    """Which entries to list."""

    match: Text = "*"
    """A glob of keys; `*` is any text, and nothing else is special."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many at most."""
    after: Annotated[str, Field(max_length=10_000)] = ""
    """List from behind this key on: the last one of the page before."""


class KeyQuery(Shape):
    """Which entry to show."""

    key: Annotated[str, Field(min_length=1, max_length=10_000)]
    """Its key."""


class EntryShape(Shape):
    """One entry of the cache."""

    key: str
    tier: str
    size: int
    """Bytes of its payload."""
    age: float
    """Seconds since its oldest source was known to be true."""
    expires: float | None
    """Seconds for which it stays fresh; negative for a stale one, null for one that never changes."""
    priority: Literal["low", "medium", "high"]
    outcome: Literal["ok", "not_found"]
    media_type: str
    tags: list[str]

    @classmethod
    def of(cls, key: str, tier: str, entry: Entry, now: float) -> Self:
        """The shape of `entry`."""
        fresh = entry.fresh_until - now
        return cls.model_validate(
            {
                "key": key,
                "tier": tier,
                "size": len(entry.payload),
                "age": round(max(0.0, now - entry.stored_at), 3),
                "expires": None if fresh == float("inf") else round(fresh, 3),
                "priority": entry.priority.name.lower(),
                "outcome": entry.outcome.name.lower(),
                "media_type": entry.media_type,
                "tags": list(entry.tags),
            }
        )


class Entries(Shape):
    """A page of entries."""

    entries: list[EntryShape]
    more: bool
    """Whether there may be more behind the last one."""


class EntryWithPayload(EntryShape):
    """One entry with what it holds."""

    payload: str
    """As text; bytes that are no UTF-8 are replaced."""


class VerifyRequest(Shape):
    """How to check the disk tier."""

    repair: bool = False
    """Delete what is damaged, and make the indices anew."""


class Verified(Shape):
    """What checking the disk tier found."""

    sound: bool
    """Whether there is nothing to repair."""
    rows: int
    good: int
    damaged: dict[str, int]
    """Rows that can't be used, by kind."""
    orphans: int
    """Tags that lead nowhere or are missing."""
    problems: list[str]
    """What SQLite says about the file."""
    repaired: bool


class ImportAnswer(Shape):
    """What became of the entries of an export."""

    imported: int
    expired: int
    from_the_future: int
    older: int


class TierStats(Shape):
    """One tier."""

    hits: int
    misses: int
    writes: int
    errors: int
    entries: int
    size: int
    """Bytes that the entries take."""
    evictions: int
    about: dict[str, int | float | bool | str]
    """What only this tier has to say."""


class WarmStats(Shape):
    """How warming went."""

    total: int
    done: int
    failed: int
    failures: list[str]
    """The first few, a sentence each."""


class Stats(Shape):
    """The cache, in numbers since the start."""

    file: str | None
    """The disk tier's file; null where there is no disk tier."""
    tiers: dict[str, TierStats]
    warmed: WarmStats | None


class Problem(Shape):
    """Why a request was refused."""

    error: str


def problem_of(error: ValidationError) -> str:
    """What is wrong with a request, as one sentence for each fault."""
    faults = []
    for fault in error.errors():
        where = ".".join(map(str, fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{where}: {message}" if where else message)
    return "; ".join(faults)
