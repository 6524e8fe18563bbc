"""How HTTP upstreams are asked, where that works against itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from gateway.profile.faults import Contradiction
from gateway.profile.fetch import Fetch
from gateway.profile.positions import KeyPath
from gateway.profile.units import format_duration
from gateway.profile.upstreams.authentication import HeaderAuth, OAuthAuth
from gateway.profile.upstreams.http import HttpUpstream


def http_contradictions(path: KeyPath, upstream: HttpUpstream, requests: Sequence[Fetch]) -> Iterator[Contradiction]:
    """Every contradiction of an HTTP upstream with itself, and with the `requests` that are made of it."""
    yield from _batch(path, upstream, requests)
    auth = upstream.auth
    if auth is None:
        return
    if isinstance(auth, OAuthAuth) and urlsplit(auth.token_url).scheme == "http" and not upstream.private_addresses:
        keys = ((*path, "auth", "token_url"),)
        yield Contradiction(keys, "the client's secret crosses the network unencrypted", "use an https:// token_url")
    name = auth.name if isinstance(auth, HeaderAuth) else "Authorization"
    for header in upstream.headers:
        if header.lower() == name.lower():
            problem = f"auth sends the header {name}, too, and its own is the one that counts"
            yield Contradiction(((*path, "headers", header),), problem, "remove it here")


def _batch(path: KeyPath, upstream: HttpUpstream, requests: Sequence[Fetch]) -> Iterator[Contradiction]:
    batch = upstream.batch
    if batch is None:
        return
    if requests and all(fetch.batch_key is None for fetch in requests):
        problem = "no fetch has a batch_key, so no requests ever join"
        yield Contradiction(((*path, "batch"),), problem, 'give one a batch_key = "{id}", or remove it')
    if batch.window >= upstream.timeout:
        window = format_duration(batch.window)
        yield Contradiction(
            ((*path, "batch", "window"), (*path, "timeout")),
            f"a request may wait {window} for others, and timeout is {format_duration(upstream.timeout)}",
            "shorten the window: milliseconds are enough",
        )
