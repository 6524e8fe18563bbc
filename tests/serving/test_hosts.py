from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.serving.hosts import HostCheck, reachable

OWN = ["127.0.0.1:8765", "[::1]:8765", "192.0.2.7:80"]
Headers = list[tuple[bytes, bytes]]


async def status(
    headers: Headers, *, bound: list[str] = OWN, hosts: list[str] | None = None, own_pages_only: bool = False
) -> int:
    """What a request with these headers is answered; 200 when it came through."""
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read of a request that is refused")

    check = HostCheck(
        cast("Any", app),
        bound,
        hosts or ["Example.org", "ports.example.org:8080"],
        ["https://App.example.org/"],
        own_pages_only=own_pages_only,
    )
    await check(cast("Any", {"type": "http", "headers": headers}), receive, cast("Any", send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1234",
        "127.0.0.1:8765",
        "127.0.0.1",
        "[::1]",
        "[::1]:8765",
        "192.0.2.7",
        "192.0.2.7:80",
        "example.org",
        "EXAMPLE.org:443",
        "ports.example.org:8080",
    ],
)
async def test_own_host(host: str) -> None:
    """Localhost, the bound addresses and what the profile allows are served, on any port unless it names one."""
    assert await status([(b"host", host.encode())]) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.com",
        "localhost.evil.com",
        "localhost.evil.com:8765",
        "evil.com:localhost",
        "127.0.0.1.evil",
        "127.0.0.1.nip.io:8765",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0.0.0.0:8765",
        "::1",
        "[::1",
        "[::ffff:127.0.0.1]",
        "localhost:",
        "localhost:x",
        "localhost:\u00b2",
        "localhost@evil.com",
        "user@localhost",
        "evil.com#localhost",
        "localhost/",
        " localhost",
        "localhost.",
        "ports.example.org",
        "ports.example.org:8081",
        "sub.example.org",
        "null",
    ],
)
async def test_foreign_host(host: str) -> None:
    """Any other name is misdirected: a page that had its name point here gets nothing (DNS rebinding)."""
    assert await status([(b"host", host.encode("latin-1"))]) == 421


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"localhost"), (b"host", b"evil.com")],
        [(b"host", b"localhost"), (b"host", b"localhost")],
        [(b"x-forwarded-host", b"localhost")],
    ],
)
async def test_not_one_host(headers: Headers) -> None:
    """A request without Host, or with two, says nothing that can be believed."""
    assert await status(headers) == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3000",
        "https://127.0.0.1:8443",
        "http://[::1]:1",
        "https://app.example.org",
        "HTTPS://APP.example.org",
    ],
)
async def test_allowed_origin(origin: str) -> None:
    """Pages of this machine and of the profile's origins may ask."""
    assert await status([(b"host", b"localhost"), (b"origin", origin.encode())]) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil",
        "http://127.0.0.2",
        "http://127.1",
        "http://user@localhost",
        "http://localhost@evil.com",
        "http://@localhost",
        "http://localhost/path",
        "http://localhost?x",
        "http://localhost#x",
        "http://localhost:99999",
        "http://[::1",
        "file://localhost",
        "chrome-extension://localhost",
        "localhost",
        "//localhost",
        "http:localhost",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.com",
        "http://localhost http://evil.com",
    ],
)
async def test_foreign_origin(origin: str) -> None:
    """Pages from anywhere else may not, nor those that hide where they are from."""
    assert await status([(b"host", b"localhost"), (b"origin", origin.encode())]) == 403


async def test_every_origin_counts() -> None:
    """A good Origin does not cover for a second one."""
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"https://evil.com")]
    assert await status(headers) == 403


@pytest.mark.parametrize("bound", ["0.0.0.0:8765", "[::]:8765"])
async def test_bound_to_all_addresses(bound: str) -> None:
    """Who listens everywhere is asked as localhost; other names are for the profile to allow."""
    assert await status([(b"host", b"localhost:8765")], bound=[bound]) == 200
    assert await status([(b"host", bound.encode())], bound=[bound]) == 421
    assert reachable(bound) == "localhost:8765"


def test_reachable() -> None:
    """A bound address is how a client reaches it, where it is one."""
    assert reachable("127.0.0.1:1") == "127.0.0.1:1"
    assert reachable("[::1]:1") == "[::1]:1"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": "http://127.0.0.1:8765"}, 200),
        ({"origin": "https://127.0.0.1:8765"}, 200),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
        ({}, 200),
    ],
)
async def test_only_pages_of_its_own(headers: dict[str, str], expected: int) -> None:
    """The admin site is asked by its own pages, by links, and by what is no browser; not by another local page."""
    sent = {"host": "127.0.0.1:8765", **headers}
    pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
    assert await status(pairs, own_pages_only=True) == expected
