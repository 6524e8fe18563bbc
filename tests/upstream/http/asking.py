"""Asking a scripted server through an HTTP upstream of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio

from gateway.errors import UpstreamError
from gateway.profile.fetch import Fetch
from gateway.profile.upstreams.http import HttpUpstream
from gateway.upstream.http.documents import HttpDocuments, open_http
from gateway.upstream.model import Fetched, Validators, Wanted
from tests.fakes.http_server import HttpServer


def section(server: HttpServer, base: str = "", **more: Any) -> HttpUpstream:
    table = {"type": "http", "base_url": server.url + base, "retries": 0, "retry_delay": "10ms", **more}
    return HttpUpstream.model_validate(table)


@asynccontextmanager
async def opened(server: HttpServer, base: str = "", **more: Any) -> AsyncIterator[HttpDocuments]:
    """The upstream `api` of these keys, which asks `server`."""
    failure: Exception | None = None
    async with trio.open_nursery() as tasks, open_http("api", section(server, base, **more), tasks=tasks) as upstream:
        try:
            yield upstream
        except Exception as error:  # or it would arrive in a group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def wanted(path: str = "doc", **more: Any) -> Wanted:
    """A document of these keys of a fetch; `query` and `headers` are tables."""
    fetch = Fetch.model_validate({"upstream": "api", "path": path, **more})
    return Wanted(
        path,
        None,
        tuple(fetch.query.items()),
        tuple(fetch.headers.items()),
        method=fetch.method,
        body=orjson.dumps(fetch.body) if fetch.body is not None else b"",
        idempotent=fetch.idempotent,
        batch_key=fetch.batch_key,
        read_as=fetch.read_as,
        html=fetch.html,
        pages=fetch.pages,
    )


async def fetch(
    server: HttpServer, what: Wanted, validators: Validators | None = None, base: str = "", **more: Any
) -> Fetched:
    async with opened(server, base, **more) as upstream:
        return await upstream.fetch(what, validators)


async def refused(server: HttpServer, kind: type[UpstreamError], what: Wanted, **more: Any) -> str:
    """The sentence that asking for `what` fails with, without the server's port."""
    async with opened(server, **more) as upstream:
        with pytest.raises(kind) as raised:
            await upstream.fetch(what)
    return str(raised.value).replace(server.url, "http://host")
