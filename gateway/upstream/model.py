"""What every kind of upstream promises: a document for a `Wanted`, and the releases that exist."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gateway.pipeline.directives import SILENT, Directives
from gateway.pipeline.model import Entry
from gateway.profile.fetch import Html, ReadAs
from gateway.profile.pages import Pages

if TYPE_CHECKING:
    from gateway.upstream.policies import Policies

JSON = "application/json"

_LONG = 512
_READABLE = 256
"""Characters of a path and a release up to which both stand in a document's name, and how many of a longer path do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One document to ask an upstream for. `path` is encoded already; two equal ones are the same document."""

    path: str
    version: str | None = None
    """The exact release; never a range or a tag."""
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    listing: bool = False
    """The document that lists the releases; `path` is then empty."""
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)
    """What is sent; its Content-Type is one of `headers`."""
    idempotent: bool | None = field(default=None, compare=False)
    """Whether it may be asked for again when that fails; None: its method says."""
    batch_key: str | int | None = None
    """Which of many it is, where several may be asked for at once."""
    read_as: ReadAs | None = None
    """What the answer is, whatever its Content-Type says."""
    html: Html | None = None
    """What becomes of HTML."""
    pages: Pages | None = None
    """How the answer goes on."""

    def __str__(self) -> str:
        """The canonical name under which the document is cached; two different documents never share one.

        The path and the release are readable, after a `#` that no path has. Query, headers and body stand there as a
        hash: they can hold a credential, and the name is logged and kept on disk. So does all of a document whose path
        and release are long, behind the beginning of its path: agents choose parts of both.
        """
        if self.listing:
            return "#releases"
        release = f"#{self.version}" if self.version is not None else ""
        asked: tuple[object, ...] = (self.query, self.headers)
        made = (self.method, hashlib.sha256(self.body).digest(), self.batch_key, self.read_as, self.html, self.pages)
        if made != _PLAIN:
            asked = (*asked, *made)
        if len(self.path) + len(release) > _LONG:
            return f"{self.path[:_READABLE]}?{_hash(self.path, self.version, *asked)}"
        more = f"?{_hash(*asked)}" if any(asked) else ""
        return f"{self.path}{release}{more}"


_PLAIN = ("GET", hashlib.sha256(b"").digest(), None, None, None, None)
"""What a document is made of that a path, a release, a query and headers name."""


def _hash(*parts: object) -> str:
    """128 bits, since agents choose some of the values: nobody finds two that share a name."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Validators:
    """What a conditional request carries (RFC 9110, section 13.1): from the answer that is to be revalidated."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an upstream answered."""

    body: bytes
    media_type: str = ""
    """Without parameters, lower case; the body of a text type is UTF-8."""
    validators: Validators = Validators()
    not_modified: bool = False
    """304: the answer that the validators came from still holds, and `body` is empty."""
    immutable: bool = False
    """This document never changes (one file of one release)."""
    directives: Directives = SILENT
    """What the answer says about its own freshness."""
    companions: Mapping[Wanted, bytes] = field(default_factory=dict)
    """Other documents that came along in the same download, with the same media type rules and immutability."""
    sources: tuple[Entry, ...] = ()
    """The documents that this one was made of: it has their tags, and is no fresher than they are."""
    keep: bool = True
    """False for what is made in no time and would only take room: it is made anew for each who asks."""


class Releases(Protocol):
    """The releases of an upstream, parsed from its listing."""

    def resolve(self, asked: str) -> str:
        """The exact release for a release, range or dist-tag; raises UnknownVersion with the newest ones."""

    def document(self) -> dict[str, Any]:
        """All of them as a document: `{"tags": {tag: release}, "versions": [release, …]}`, newest first."""


class Upstream(Protocol):
    """A source of documents. Opened and closed by the assembly; safe for concurrent use."""

    name: str
    identity: str
    """Changes when the same `Wanted` would mean another document (another address, another package)."""

    @property
    def policies(self) -> Sequence[Policies]:
        """What decides when and how often it is asked, for each service behind it; none for what is on this machine."""

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """Ask for one document, once; raises UpstreamError. Cancelling abandons the request."""

    def releases(self, listing: bytes) -> Releases:
        """Parse the document that `Wanted("", listing=True)` brought; raises UpstreamInvalid."""
