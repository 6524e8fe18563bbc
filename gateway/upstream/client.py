"""One GET to one upstream, politely: in its turn, again when it fails, never longer than the profile allows.

The order is deadline > concurrency > retry > rate > pool. The rate limit is inside the retry, because the upstream
counts tries; the concurrency limit is outside, because a slot that is given up while pausing would let a failing
upstream be asked by ever more callers.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore2
import httpx2
import trio

from gateway import __version__
from gateway.pipeline.directives import SILENT, Directives, parse_directives
from gateway.profile.upstreams.policies import Politeness
from gateway.upstream.body import Bound, read_body
from gateway.upstream.egress import Resolver, VettedBackend, resolve
from gateway.upstream.failures import Doing, broken_off, deadline, refuse_status, translated
from gateway.upstream.headers import Header, checked_headers
from gateway.upstream.limit import TokenBucket
from gateway.upstream.model import Validators
from gateway.upstream.retry import Draw, pauses, retrying
from gateway.upstream.transport import PoolTransport

USER_AGENT = f"gateway/{__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200, or a 304 to a conditional request: decompressed, within its bound, otherwise as the upstream sent it."""

    body: bytes
    content_type: str
    validators: Validators
    not_modified: bool = False
    directives: Directives = SILENT


class Client:
    """The one way to ask an upstream by HTTP. Safe for concurrent use; made by `open_client`."""

    def __init__(self, upstream: str, section: Politeness, http: httpx2.AsyncClient, draw: Draw) -> None:
        self.upstream = upstream
        self.bound = Bound(section.max_response_size, "max_response_size")
        self._section = section
        self._http = http
        self._draw = draw
        self._slots = trio.CapacityLimiter(section.max_concurrent)
        self._bucket = TokenBucket(section.rate_limit)

    async def get(
        self,
        url: httpx2.URL,
        *,
        headers: Sequence[Header] = (),
        validators: Validators | None = None,
        bound: Bound | None = None,
        coding: str = "gzip",
    ) -> Answer:
        """The document at `url`, within the section's timeout, all waits and tries together.

        `validators` make the request conditional (RFC 9110, section 13.1). `bound` stands in for the section's
        `max_response_size`. `coding` is what the upstream is told that it may compress with.
        Raises UpstreamError, saying what happened and which key of the profile decides it; a redirect is an error and
        nothing is sent to where it points. Cancelling closes the connection that was in use.
        """
        conditions = _conditions(validators)
        send = checked_headers(self.upstream, headers, [("Accept-Encoding", coding), *conditions])
        section = self._section
        doing = Doing()
        doing.now = f"waiting for its turn (upstreams.{self.upstream}.max_concurrent)"
        with deadline(self.upstream, section.timeout, doing):
            async with self._slots:
                attempt = partial(self._try, url, send, bool(conditions), bound or self.bound, doing)
                return await retrying(attempt, pauses(section.retries, section.retry_delay, self._draw))

    async def _try(
        self,
        url: httpx2.URL,
        headers: list[tuple[bytes, bytes]],
        conditional: bool,
        bound: Bound,
        doing: Doing,
    ) -> Answer:
        doing.now = f"waiting for its turn (upstreams.{self.upstream}.rate_limit)"
        await self._bucket.take()
        doing.now = "waiting for the upstream"
        idle_timeout = self._section.pool.idle_timeout
        with translated(self.upstream, url, idle_timeout):
            async with self._http.stream("GET", url, headers=headers) as response:
                refuse_status(self.upstream, url, response, conditional=conditional)
                doing.now = "reading the answer"
                with broken_off(self.upstream, url, idle_timeout):
                    body = await read_body(self.upstream, response, bound)
        doing.now = "waiting to try again"
        content_type = response.headers.get("content-type", "")
        directives = parse_directives({name.lower(): value for name, value in response.headers.items()})
        return Answer(body, content_type, _validators(response), response.status_code == 304, directives)


@asynccontextmanager
async def open_client(
    upstream: str, section: Politeness, *, resolve: Resolver = resolve, draw: Draw = random.uniform
) -> AsyncIterator[Client]:
    """A client for `upstream`, with the limits of its section; leaving the block closes every connection.

    The environment's proxies and .netrc are ignored, redirects are not followed, cookies are not kept, and only vetted
    addresses are dialled (`egress`). TLS trusts what the system trusts, or SSL_CERT_FILE and SSL_CERT_DIR where set.
    """
    pool = httpcore2.AsyncConnectionPool(
        # In a thread: reading the system's certificates takes tens of milliseconds.
        ssl_context=await trio.to_thread.run_sync(httpx2.create_ssl_context),
        max_connections=section.pool.max_connections,
        max_keepalive_connections=section.pool.max_keepalive,
        keepalive_expiry=section.pool.keepalive,
        network_backend=VettedBackend(upstream, private_addresses=section.private_addresses, resolve=resolve),
    )
    async with (
        pool,
        httpx2.AsyncClient(
            transport=PoolTransport(pool),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": USER_AGENT},
            # Everything but a silence in the middle is a matter of the deadline around the request.
            timeout=httpx2.Timeout(None, read=section.pool.idle_timeout),
        ) as http,
    ):
        yield Client(upstream, section, http, draw)


def _conditions(validators: Validators | None) -> list[Header]:
    if validators is None:
        return []
    conditions = [("If-None-Match", validators.etag), ("If-Modified-Since", validators.last_modified)]
    return [(name, value) for name, value in conditions if value]


def _validators(response: httpx2.Response) -> Validators:
    etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
    return Validators(etag if etag.isascii() else "", modified if modified.isascii() else "")
