"""One request to one upstream by HTTP, and its answer, whole and bounded; when and how often, the policies say."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpcore2
import httpx2
import trio

from gateway import __version__
from gateway.pipeline.directives import SILENT, Directives, parse_directives
from gateway.profile.upstreams.policies import Politeness
from gateway.telemetry.tracing import outgoing_context
from gateway.upstream.body import Bound, read_body
from gateway.upstream.egress import Resolver, VettedBackend, resolve
from gateway.upstream.failures import broken_off, no_document, refuse_status, translated
from gateway.upstream.headers import Header, checked_headers
from gateway.upstream.model import Validators
from gateway.upstream.policies import Policies
from gateway.upstream.policies.deadline import Doing
from gateway.upstream.policies.retry import Draw
from gateway.upstream.transport import PoolTransport

USER_AGENT = f"gateway/{__version__}"
_DEFAULTS: tuple[Header, ...] = (("Accept", "*/*"), ("User-Agent", USER_AGENT))
"""What is sent unless the profile says something else."""

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, section 9.2.2


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to send. Headers and body may hold credentials, so they are in no representation of it."""

    method: str
    url: httpx2.URL
    headers: Sequence[Header] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    """Its Content-Type is one of `headers`; its Content-Length is not."""
    validators: Validators | None = None
    """Make the request conditional (RFC 9110, section 13.1)."""
    bound: Bound | None = None
    """Stands in for the section's `max_response_size`."""
    coding: str = "gzip"
    """What the upstream is told that it may compress with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success, or a 304 to a conditional request: decompressed, within its bound, otherwise as it was sent."""

    body: bytes
    content_type: str
    validators: Validators
    not_modified: bool = False
    directives: Directives = SILENT
    status: int = 200
    headers: Sequence[Header] = field(default=(), repr=False, compare=False)
    """In the order in which they came, names in lower case."""


class Client:
    """The one way to ask an upstream by HTTP. Safe for concurrent use; made by `open_client`."""

    def __init__(self, upstream: str, section: Politeness, transport: PoolTransport, policies: Policies) -> None:
        self.upstream = upstream
        self.bound = Bound(section.max_response_size, "max_response_size")
        self.policies = policies
        self._idle_timeout = section.pool.idle_timeout
        self._transport = transport
        # Everything but a silence in the middle is a matter of the deadline around the request.
        self._extensions = {"timeout": httpx2.Timeout(None, read=self._idle_timeout).as_dict()}

    async def get(
        self,
        url: httpx2.URL,
        *,
        headers: Sequence[Header] = (),
        validators: Validators | None = None,
        bound: Bound | None = None,
        coding: str = "gzip",
    ) -> Answer:
        """The document at `url`: as `send` does, and UpstreamInvalid for a success that brings no document."""
        answer = await self.send(Outgoing("GET", url, headers, b"", validators, bound, coding))
        if answer.status not in (200, 203, 304):
            raise no_document(self.upstream, answer.status, url)
        return answer

    async def send(self, request: Outgoing, *, idempotent: bool | None = None) -> Answer:
        """The answer to `request`, within the section's timeout, all waits and tries together.

        An answer is a success (200 to 205; the body may be empty) or a 304 to a conditional request. `idempotent` is
        whether it may be sent more than once; by default its method says (RFC 9110, section 9.2.2).
        Raises UpstreamError, saying what happened and which key of the profile decides it; a redirect is an error and
        nothing is sent to where it points. Cancelling closes the connection that was in use.
        """
        conditions = _conditions(request.validators)
        own = [("Accept-Encoding", request.coding), ("Connection", "keep-alive"), *conditions]
        headers = checked_headers(self.upstream, [*_DEFAULTS, *request.headers], own)
        doing = Doing()
        attempt = partial(self._try, request, headers, bool(conditions), doing)
        if idempotent is None:
            idempotent = request.method in _IDEMPOTENT
        return await self.policies.ask(attempt, idempotent=idempotent, doing=doing)

    async def _try(
        self, request: Outgoing, headers: list[tuple[bytes, bytes]], conditional: bool, doing: Doing
    ) -> Answer:
        url, idle_timeout = request.url, self._idle_timeout
        context = [(name.encode(), value.encode()) for name, value in outgoing_context()]
        with translated(self.upstream, url, idle_timeout):
            content = request.body or None
            sent = httpx2.Request(
                request.method, url, headers=[*headers, *context], content=content, extensions=self._extensions
            )
            # Not by an httpx2.AsyncClient: redirects, cookies, .netrc and the environment's proxies are not wanted.
            response = await self._transport.handle_async_request(sent)
            async with aclosing(response):
                refuse_status(self.upstream, url, response, conditional=conditional)
                doing.now = "reading the answer"
                with broken_off(self.upstream, url, idle_timeout):
                    # What an answer to HEAD declares is not its own size (RFC 9110, section 9.3.2).
                    bound = request.bound or self.bound
                    body = await read_body(self.upstream, response, bound) if request.method != "HEAD" else b""
        return Answer(
            body,
            response.headers.get("content-type", ""),
            _validators(response),
            response.status_code == 304,
            parse_directives(dict(response.headers.items())),
            response.status_code,
            tuple(response.headers.multi_items()),
        )


@asynccontextmanager
async def open_client(
    upstream: str, section: Politeness, *, resolve: Resolver = resolve, draw: Draw = random.uniform
) -> AsyncIterator[Client]:
    """A client for `upstream`, with the limits of its section; leaving the block closes every connection.

    Only vetted addresses are dialled (`egress`). TLS trusts what the system trusts, or SSL_CERT_FILE and SSL_CERT_DIR
    where set.
    """
    pool = section.pool
    open_pool = partial(
        httpcore2.AsyncConnectionPool,
        # In a thread: reading the system's certificates takes tens of milliseconds.
        ssl_context=await trio.to_thread.run_sync(httpx2.create_ssl_context),
        max_connections=None,  # what has a slot has a connection; `pool.max_connections` bounds the slots
        max_keepalive_connections=pool.max_keepalive,
        keepalive_expiry=pool.keepalive,
        network_backend=VettedBackend(upstream, private_addresses=section.private_addresses, resolve=resolve),
    )
    policies = Policies(upstream, section, draw, connections=pool.max_connections)
    async with aclosing(PoolTransport(open_pool)) as transport:
        yield Client(upstream, section, transport, policies)


def _conditions(validators: Validators | None) -> list[Header]:
    if validators is None:
        return []
    conditions = [("If-None-Match", validators.etag), ("If-Modified-Since", validators.last_modified)]
    return [(name, value) for name, value in conditions if value]


def _validators(response: httpx2.Response) -> Validators:
    etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
    return Validators(etag if etag.isascii() else "", modified if modified.isascii() else "")
