"""From a `Wanted` to the request that is sent, with what the upstream's section adds to it."""

from __future__ import annotations

import httpx2

from gateway.profile.upstreams.http import HttpUpstream
from gateway.upstream.address import BaseAddress
from gateway.upstream.body import Bound
from gateway.upstream.client import Answer, Client, Outgoing
from gateway.upstream.failures import Refused, no_document
from gateway.upstream.headers import Header
from gateway.upstream.http.authentication import Authentication
from gateway.upstream.model import Validators, Wanted


class Sender:
    """Sends the requests of one upstream. Headers that may hold a credential go to the origin of `base_url` only."""

    def __init__(self, name: str, section: HttpUpstream, client: Client, auth: Authentication | None) -> None:
        self.name = name
        self.timeout = section.timeout
        self.bound = client.bound
        self._base = BaseAddress(name, section.base_url)
        self._own = tuple(section.headers.items())
        self._client = client
        self._auth = auth

    @property
    def origin(self) -> str:
        """Scheme, host and port of `base_url`."""
        return str(self._base)

    def url(self, wanted: Wanted) -> httpx2.URL:
        """The address of `wanted`; raises UpstreamRejected where that could be another than is meant."""
        return self._base.join(wanted.path, wanted.version, wanted.query)

    async def send(
        self,
        wanted: Wanted,
        url: httpx2.URL,
        *,
        validators: Validators | None = None,
        bound: Bound | None = None,
    ) -> Answer:
        """The answer to `wanted` at `url`, which is one of this upstream's own.

        The section's headers are sent with it; `wanted`'s take their place where they have the same name, and so does
        the one of `auth`. A 401 to a token is followed by one more try with a new one: what was refused was not done.
        Raises UpstreamError. Cancelling closes the connection.
        """
        headers = (*self._own, *wanted.headers)
        if self._auth is None:
            return await self._send(wanted, url, headers, validators, bound)
        header = await self._auth.header()
        try:
            return await self._send(wanted, url, (*headers, header), validators, bound)
        except Refused as refused:
            if refused.status != 401 or not self._auth.refused(header):
                raise
        return await self._send(wanted, url, (*headers, await self._auth.header()), validators, bound)

    async def elsewhere(self, url: httpx2.URL, validators: Validators | None) -> Answer:
        """The document at an address that need not be this upstream's own: no headers, no credentials."""
        return await self._client.get(url, validators=validators)

    async def _send(
        self,
        wanted: Wanted,
        url: httpx2.URL,
        headers: tuple[Header, ...],
        validators: Validators | None,
        bound: Bound | None,
    ) -> Answer:
        request = Outgoing(wanted.method, url, headers, wanted.body, validators, bound)
        answer = await self._client.send(request, idempotent=wanted.idempotent)
        if wanted.method == "GET" and answer.status not in (200, 203, 304):
            raise no_document(self.name, answer.status, url)
        return answer
