"""An upstream in memory: documents by name, failures and delays on demand, and a list of what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import orjson
import trio

from gateway.errors import GatewayError, UpstreamNotFound
from gateway.pipeline.directives import SILENT, Directives
from gateway.upstream.model import JSON, Fetched, Validators, Wanted
from gateway.upstream.policies import Policies
from gateway.upstream.versions import SemanticReleases


def spelled(wanted: Wanted) -> str:
    """What tests call a document: `path@release?name=value Header: value`, or `releases`."""
    if wanted.listing:
        return "releases"
    release = f"@{wanted.version}" if wanted.version is not None else ""
    query = "?" + urlencode(wanted.query, quote_via=quote) if wanted.query else ""
    headers = "".join(f" {name}: {quote(value)}" for name, value in wanted.headers)
    return f"{wanted.path}{release}{query}{headers}"


@dataclass
class FakeUpstream:
    """Answers `spelled(wanted)` with the document, or raises the error, that a test put in `documents`."""

    name: str = "api"
    identity: str = "1"
    policies: tuple[Policies, ...] = ()
    documents: dict[str, bytes | GatewayError] = field(default_factory=dict)
    otherwise: bytes | None = None
    """The document of every other name, if there is one."""
    releases_listed: Sequence[str] = ("2.0.0", "1.1.0", "1.0.0")
    media_type: str = JSON
    immutable: bool = False
    etag: str = ""
    delay: float = 0.0
    """Seconds that an answer takes, on Trio's clock."""
    directives: Directives = SILENT
    companions: Mapping[Wanted, bytes] = field(default_factory=dict)
    asked: list[Wanted] = field(default_factory=list)
    conditions: list[Validators | None] = field(default_factory=list)

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """The document, after `delay`; a 304 where the condition holds."""
        self.asked.append(wanted)
        self.conditions.append(validators)
        await trio.sleep(self.delay)
        found = self.documents.get(spelled(wanted))
        if found is None and wanted.listing:
            return Fetched(orjson.dumps(list(self.releases_listed)), JSON)
        found = self.otherwise if found is None else found
        if found is None:
            raise UpstreamNotFound(self.name, f"no document {wanted}")
        if isinstance(found, GatewayError):
            raise found
        if validators is not None and self.etag and validators.etag == self.etag:
            return Fetched(b"", validators=validators, not_modified=True)
        return Fetched(
            found,
            self.media_type,
            Validators(self.etag),
            immutable=self.immutable,
            directives=self.directives,
            companions=self.companions,
        )

    def releases(self, listing: bytes) -> SemanticReleases:
        """The releases in the list that `fetch` made."""
        return SemanticReleases(self.name, orjson.loads(listing))

    def times(self, name: str) -> int:
        """How often the document was asked for."""
        return sum(spelled(wanted) == name for wanted in self.asked)
