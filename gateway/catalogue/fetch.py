"""One document that a tool reads: from the call's arguments to what is asked of the upstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.catalogue.content import (
    FORM_CONTENT,
    JSON_CONTENT,
    JsonContent,
    Pairs,
    Parameters,
    form_content,
    sole_field,
)
from gateway.catalogue.documents import Documents, Reading, Release
from gateway.catalogue.jsontext import to_json
from gateway.catalogue.select import Selection
from gateway.catalogue.template import as_text, header_template, path_template, text_template
from gateway.errors import ToolError, UnknownVersion, UpstreamNotFound
from gateway.pipeline.model import Entry, Outcome
from gateway.profile.fetch import Fetch as FetchSection
from gateway.profile.templates import fields
from gateway.upstream.model import JSON, Wanted


@dataclass(frozen=True, slots=True)
class Got:
    """A document, and the release that it is of."""

    entry: Entry
    """Of an optional document that is not there, what is known of that: its outcome says so."""
    release: Release | None

    @property
    def there(self) -> bool:
        """Whether there is such a document."""
        return self.entry.outcome is Outcome.OK

    @property
    def release_name(self) -> str | None:
        """The release, by its name."""
        return self.release.name if self.release is not None else None

    @property
    def sources(self) -> tuple[Entry, ...]:
        """What can change about it: the document, and the list that says which release was meant."""
        document = () if self.entry.immutable else (self.entry,)
        listing = self.release.listing if self.release is not None else None
        return document if listing is None else (*document, listing)


class Fetch:
    """One document that a tool reads, with its templates compiled."""

    def __init__(self, key: str, section: FetchSection) -> None:
        self.upstream = section.upstream
        self._section = section
        self._when = Selection(f"{key}.when", section.when) if section.when is not None else None
        self._path = path_template(section.path)
        self._else_path = path_template(section.else_path) if section.else_path is not None else None
        self._version = text_template(section.version) if section.version is not None else None
        self.by_version = section.version is not None and "version" in fields(section.version)
        """Whether the argument `version` says which release."""
        self._query = Parameters(section.query)
        self._headers = {name: header_template(value) for name, value in section.headers.items()}
        self._json = JsonContent(section.body) if section.body is not None else None
        self._form = Parameters(section.form)
        self._batch_key = text_template(section.batch_key) if section.batch_key is not None else None

    async def get(self, documents: Documents, values: Mapping[str, Any], reading: Reading) -> Got | None:
        """The document for these arguments; None where it is not wanted for them. Raises UpstreamError or ToolError."""
        if self._when is not None and not self._when.of(values, values):
            return None
        if self._section.releases:
            listing, releases = await documents.releases(self.upstream, reading)
            return Got(listing.but(payload=to_json(releases.document()), media_type=JSON), None)
        release = None
        if self._version is not None:
            try:
                release = await documents.resolve(self.upstream, self._version.fill(values), reading)
            except UnknownVersion as error:
                if not self._section.optional:
                    raise
                listing, _ = await documents.releases(self.upstream, reading)
                return Got(listing.but(payload=str(error).encode(), outcome=Outcome.NOT_FOUND), None)
            values = {**values, "version": release.name}
        wanted = self._wanted(values, release.name if release is not None else None)
        found = await documents.find(self.upstream, wanted, reading)
        if found.outcome is Outcome.NOT_FOUND and self._else_path is not None:
            found = await documents.find(self.upstream, replace(wanted, path=self._else_path.fill(values)), reading)
        if found.outcome is Outcome.NOT_FOUND and not self._section.optional:
            raise UpstreamNotFound(self.upstream, found.payload.decode())
        return Got(found, release)

    def _wanted(self, values: Mapping[str, Any], release: str | None) -> Wanted:
        section = self._section
        content_type, body = self._content(values)
        headers = tuple((name, template.fill(values)) for name, template in self._headers.items())
        return Wanted(
            self._path.fill(values),
            release,
            self._query.fill(values),
            (*content_type, *headers),
            method=section.method,
            body=body,
            idempotent=section.idempotent,
            batch_key=self._one_of(values),
            read_as=section.read_as,
            html=section.html,
            pages=section.pages,
        )

    def _content(self, values: Mapping[str, Any]) -> tuple[Pairs, bytes]:
        if self._form:
            return (FORM_CONTENT,), form_content(self._form.fill(values))
        body = self._json.fill(values) if self._json is not None else b""
        return ((JSON_CONTENT,) if body else ()), body

    def _one_of(self, values: Mapping[str, Any]) -> str | int | None:
        """The key of a batch: an argument that is a number stays one, since it may go into JSON."""
        if self._batch_key is None:
            return None
        argument = sole_field(self._batch_key)
        value = self._batch_key.fill(values) if argument is None else values.get(argument)
        key = value if isinstance(value, int) and not isinstance(value, bool) else as_text(value)
        if key == "":
            raise ToolError(f"{argument or 'the key'}: expected a value, found none")
        return key
