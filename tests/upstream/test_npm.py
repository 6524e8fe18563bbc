from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.errors import (
    GatewayError,
    UnknownVersion,
    UpstreamError,
    UpstreamInvalid,
    UpstreamNotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.pipeline.single_flight import SingleFlight
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.upstream.model import Fetched, Wanted
from gateway.upstream.npm import NpmPackage, open_npm
from tests.fakes.http_server import HttpServer, answer, silent
from tests.fakes.registry import Registry, package, sri

NAME = "@varlet/ui"
LISTING = Wanted("", listing=True)
ENGLISH, CHINESE = "highlight/web-types.en-US.json", "highlight/web-types.zh-CN.json"
FILES = {ENGLISH: b'{"name": "en"}', CHINESE: b'{"name": "zh"}', "README.md": b"# Varlet", "broken.json": b"<p>"}
PACKED = package(FILES)
PATTERNS = ("highlight/web-types.*.json", "docs/*.md")


@asynccontextmanager
async def opened(
    server: HttpServer | None,
    *,
    environ: Mapping[str, str] | None = None,
    patterns: Collection[str] = PATTERNS,
    where: Path | None = None,
    **more: Any,
) -> AsyncIterator[NpmPackage]:
    """An npm upstream on the registry, which the environment names unless the test says otherwise."""
    if environ is None:
        assert isinstance(server, Registry)
        environ = {"npm_config_registry": server.registry_url}
    section = NpmUpstream.model_validate({"type": "npm", "package": NAME, "retries": 0, **more})
    nowhere = where or Path("/nonexistent")
    async with (
        trio.open_nursery() as nursery,
        open_npm(
            "ui",
            section,
            environ=environ,
            cwd=nowhere,
            home=nowhere,
            wanted_patterns=patterns,
            flights=SingleFlight(nursery),
        ) as upstream,
    ):
        yield upstream
        nursery.cancel_scope.cancel()


async def fetch(server: Registry, path: str, version: str = "3.20.6", **more: Any) -> Fetched:
    async with opened(server, **more) as upstream:
        return await upstream.fetch(Wanted(path, version))


async def failure(server: Registry, kind: type[UpstreamError], path: str = ENGLISH, **more: Any) -> str:
    async with opened(server, **more) as upstream:
        with pytest.raises(kind) as raised:
            await upstream.fetch(Wanted(path, "3.20.6"))
        return str(raised.value).replace(server.url, "http://host")


@pytest.fixture
def varlet(registry: Registry) -> Registry:
    """A registry with one release of the package."""
    registry.publish(NAME, "3.20.6", PACKED)
    return registry


async def test_a_file_of_a_release(varlet: Registry) -> None:
    """It is immutable, and the files that other calls will want come along."""
    got = await fetch(varlet, ENGLISH)
    assert got.body == FILES[ENGLISH]
    assert (got.media_type, got.immutable) == ("application/json", True)
    assert got.companions == {Wanted(CHINESE, "3.20.6"): FILES[CHINESE]}
    assert varlet.targets() == [varlet.packument_target(NAME), varlet.tarball_target(NAME, "3.20.6")]
    assert varlet.requests[0].headers["accept"] == (
        "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"
    )
    assert varlet.requests[1].headers["accept-encoding"] == "identity"


async def test_a_file_that_no_pattern_foresees(varlet: Registry) -> None:
    """It is kept because it was asked for."""
    got = await fetch(varlet, "README.md")
    assert (got.body, got.media_type) == (b"# Varlet", "text/markdown")
    assert len(got.companions) == 2


async def test_releases(varlet: Registry) -> None:
    """The listing is short, revalidated by the registry's ETag, and parsed once."""
    varlet.publish(NAME, "3.1.0", PACKED, tag="old")
    async with opened(varlet) as upstream:
        listing = await upstream.fetch(LISTING)
        assert json.loads(listing.body) == {
            "tags": {"latest": "3.20.6", "old": "3.1.0"},
            "versions": ["3.20.6", "3.1.0"],
        }
        releases = upstream.releases(listing.body)
        assert [releases.resolve(asked) for asked in ("latest", "old", "^3.1", "3.1.x")] == [
            "3.20.6", "3.1.0", "3.20.6", "3.1.0",
        ]  # fmt: skip
        assert upstream.releases(bytes(bytearray(listing.body))) is releases
        with pytest.raises(UnknownVersion, match=r"^ui: no release matches version '9'\. The newest are 3\.20\.6, "):
            releases.resolve("9")
        again = await upstream.fetch(LISTING, listing.validators)
        assert again == Fetched(b"", validators=listing.validators, not_modified=True)


async def test_what_was_learned_of_releases_is_not_asked_again(varlet: Registry) -> None:
    """The listing tells where the tarballs are; a release that came later makes the registry be asked again."""
    async with opened(varlet) as upstream:
        await upstream.fetch(LISTING)
        await upstream.fetch(Wanted(ENGLISH, "3.20.6"))
        assert len(varlet.requests) == 2
        varlet.publish(NAME, "3.21.0", PACKED)
        await upstream.fetch(Wanted(ENGLISH, "3.21.0"))
        assert varlet.targets()[2:] == [varlet.packument_target(NAME), varlet.tarball_target(NAME, "3.21.0")]


async def test_one_download_however_many_wait(varlet: Registry) -> None:
    """Fifty callers, two files, one packument and one tarball."""
    async with opened(varlet) as upstream, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(upstream.fetch, Wanted((ENGLISH, CHINESE)[number % 2], "3.20.6"))
    assert len(varlet.requests) == 2


async def test_a_caller_that_goes_away_leaves_the_download_to_the_others(varlet: Registry) -> None:
    """The load is nobody's own."""
    body, gate = varlet.scripts[varlet.tarball_target(NAME, "3.20.6")][0], trio.Event()
    assert isinstance(body, bytes)

    async def gated(_request: object, stream: trio.SocketStream) -> None:
        await gate.wait()
        await stream.send_all(body)

    varlet.on(varlet.tarball_target(NAME, "3.20.6"), gated)
    got: list[Fetched] = []
    async with opened(varlet) as upstream, trio.open_nursery() as others:

        async def other() -> None:
            got.append(await upstream.fetch(Wanted(ENGLISH, "3.20.6")))

        async with trio.open_nursery() as first:
            first.start_soon(upstream.fetch, Wanted(ENGLISH, "3.20.6"))
            others.start_soon(other)
            while len(varlet.requests) < 2:
                await trio.testing.wait_all_tasks_blocked(0.001)
            first.cancel_scope.cancel()
        gate.set()
    assert [each.body for each in got] == [FILES[ENGLISH]]
    assert len(varlet.requests) == 2


async def test_no_such_file(varlet: Registry) -> None:
    """The sentence says what was looked for; asking for others costs no further download."""
    async with opened(varlet) as upstream:
        for path in ("docs/nothing.md", "nothing.txt", "docs/other.md"):
            with pytest.raises(UpstreamNotFound) as raised:
                await upstream.fetch(Wanted(path, "3.20.6"))
            assert str(raised.value) == f"ui: {NAME} 3.20.6 has no file {path}"
    assert len(varlet.requests) == 2


async def test_no_such_release_or_package(varlet: Registry) -> None:
    """A release that the registry does not have, and a package."""
    async with opened(varlet) as upstream:
        with pytest.raises(UpstreamNotFound, match=r"^ui: there is no release 9\.9\.9 of @varlet/ui$"):
            await upstream.fetch(Wanted(ENGLISH, "9.9.9"))
    async with opened(varlet, package="left-pad") as upstream:
        with pytest.raises(UpstreamNotFound, match=r"^ui: answered 404 Not Found for http://.*/left-pad$"):
            await upstream.fetch(LISTING)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("../../etc/passwd", "3.20.6"),
        Wanted("%2e%2e/x", "3.20.6"),
        Wanted("a\\b", "3.20.6"),
        Wanted(ENGLISH),
        Wanted(ENGLISH, "3.20.6", query=(("a", "b"),)),
        Wanted(ENGLISH, "3.20.6", headers=(("a", "b"),)),
    ],
)
async def test_what_is_no_name_of_a_file(varlet: Registry, wanted: Wanted) -> None:
    """Refused before anything is asked."""
    async with opened(varlet) as upstream:
        with pytest.raises(UpstreamRejected):
            await upstream.fetch(wanted)
    assert varlet.requests == []


async def test_a_wrong_hash(registry: Registry) -> None:
    """Nothing of the tarball is kept, and it is downloaded anew the next time."""
    registry.publish(NAME, "3.20.6", PACKED, dist={"integrity": sri(b"other")})
    wanted = f"ui: {NAME} 3.20.6: the tarball does not have the sha512 hash that was promised"
    async with opened(registry) as upstream:
        for _ in range(2):
            with pytest.raises(UpstreamInvalid) as raised:
                await upstream.fetch(Wanted(ENGLISH, "3.20.6"))
            assert str(raised.value) == wanted
    assert len(registry.requests) == 3


async def test_a_broken_file_is_reported_to_who_asks_for_it(varlet: Registry) -> None:
    """Others are served from the same tarball."""
    async with opened(varlet, patterns=("*.json", *PATTERNS)) as upstream:
        assert (await upstream.fetch(Wanted(ENGLISH, "3.20.6"))).body == FILES[ENGLISH]
        with pytest.raises(UpstreamInvalid) as raised:
            await upstream.fetch(Wanted("broken.json", "3.20.6"))
    assert str(raised.value).startswith(f"ui: {NAME} 3.20.6: the file broken.json said it was JSON but is not: ")


async def test_sizes(varlet: Registry) -> None:
    """Packed, unpacked, and one file; each sentence names its key."""
    assert await failure(varlet, UpstreamInvalid, max_package_size="300B") == (
        "ui: the answer is larger than 300B (upstreams.ui.max_package_size)"
    )
    assert await failure(varlet, UpstreamInvalid, max_unpacked_size="1KB") == (
        f"ui: {NAME} 3.20.6, unpacked, is larger than 1KB (upstreams.ui.max_unpacked_size)"
    )
    assert await failure(varlet, UpstreamInvalid, max_response_size="5B") == (
        f"ui: {NAME} 3.20.6: the file {ENGLISH} is larger than 5B (upstreams.ui.max_response_size)"
    )


async def test_a_registry_that_is_down_or_slow(varlet: Registry) -> None:
    """What the client says of it, and the deadline over all that a file takes."""
    varlet.on(varlet.tarball_target(NAME, "3.20.6"), silent)
    assert await failure(varlet, UpstreamUnavailable, timeout="100ms") == (
        "ui: no answer within 100ms (upstreams.ui.timeout): it was still downloading the package"
    )
    varlet.on(varlet.packument_target(NAME), answer(status="503 Busy"))
    assert await failure(varlet, UpstreamUnavailable) == (
        "ui: answered 503 Service Unavailable for http://host/@varlet%2fui"
    )


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<html>", "the list of releases said it was JSON but is not: unexpected character"),
        (b"[]", "the list of releases is not a JSON object"),
        (b"{}", 'the registry\'s answer has no "versions"'),
        (b'{"versions": {"3.20.6": {}}}', f"there is no release 3.20.6 of {NAME}"),
        (b'{"versions": {"3.20.6": {"dist": {"tarball": 1}}}}', f"there is no release 3.20.6 of {NAME}"),
    ],
)
async def test_a_packument_that_is_none(registry: Registry, body: bytes, sentence: str) -> None:
    """What the registry says is checked like any other answer."""
    registry.on(registry.packument_target(NAME), answer(body))
    assert (await failure(registry, UpstreamError)).startswith(f"ui: {sentence}")


# Which registry is asked.


async def test_a_mirror_that_names_another_host(nursery: trio.Nursery) -> None:
    """Its tarballs are taken from itself, below its own path; the other host is not asked."""
    registry = Registry(prefix="/mirror", tarball_host="http://origin.invalid")
    await nursery.start(registry.serve)
    registry.publish(NAME, "3.20.6", PACKED)
    assert (await fetch(registry, ENGLISH)).body == FILES[ENGLISH]


async def test_a_token_goes_with_every_request_to_its_registry(varlet: Registry, tmp_path: Path) -> None:
    """And is in no sentence when the registry refuses it."""
    host = varlet.url.removeprefix("http:")
    lines = (f"registry={varlet.url}", f"{host}/:_authToken=canary", "//other.example/:_authToken=x")
    (tmp_path / ".npmrc").write_text("\n".join(lines))
    async with opened(varlet, environ={}, where=tmp_path) as upstream:
        await upstream.fetch(Wanted(ENGLISH, "3.20.6"))
    assert [request.headers["authorization"] for request in varlet.requests] == ["Bearer canary"] * 2
    varlet.on(varlet.packument_target(NAME), answer(b"canary", status="401 Unauthorized"))
    assert "canary" not in await failure(varlet, UpstreamRejected, environ={}, where=tmp_path)


async def test_the_profiles_registry_is_the_operators_word(varlet: Registry) -> None:
    """It wins over npm's configuration, and may be on a private address."""
    environ = {"npm_config_registry": "http://other.invalid"}
    address = f"http://localhost:{varlet.port}"
    assert (await fetch(varlet, ENGLISH, environ=environ, registry=address)).body == FILES[ENGLISH]


async def test_without_a_registry_files_come_from_the_cdn(server: HttpServer) -> None:
    """One file at a time, and the CDN's own list of releases."""
    versions = {"tags": {"latest": "3.20.6"}, "versions": [{"version": "3.20.6"}, {"version": "3.1.0"}, "2.0.0", 1]}
    server.on("/list/@varlet/ui", answer(json.dumps(versions).encode(), headers={"ETag": '"1"'}))
    server.on("/npm/@varlet/ui@3.20.6/README.md", answer(b"\xef\xbb\xbf# Varlet", "text/plain"))
    server.on("/npm/@varlet/ui@3.20.6/broken.json", answer(b"<p>"))
    addresses: dict[str, Any] = {"cdn": f"{server.url}/npm", "cdn_listing": f"{server.url}/list"}
    async with opened(None, environ={}, **addresses) as upstream:
        listing = await upstream.fetch(LISTING)
        assert json.loads(listing.body) == {"tags": {"latest": "3.20.6"}, "versions": ["3.20.6", "3.1.0", "2.0.0"]}
        assert upstream.releases(listing.body).resolve("3") == "3.20.6"
        got = await upstream.fetch(Wanted("README.md", "3.20.6"))
        assert got == Fetched(b"# Varlet", "text/markdown", immutable=True)
        with pytest.raises(UpstreamInvalid, match=r"^ui: @varlet/ui 3\.20\.6: the file broken\.json said it was JSON"):
            await upstream.fetch(Wanted("broken.json", "3.20.6"))
        with pytest.raises(UpstreamNotFound):
            await upstream.fetch(Wanted("nothing.json", "3.20.6"))


async def test_the_files_of_a_release_are_listed(registry: Registry, unused_url: str) -> None:
    """Under the empty path, as a folder lists its own; the files that are kept come along. A CDN lists none."""
    registry.publish(NAME, "3.20.6", PACKED)
    async with opened(registry) as upstream:
        fetched = await upstream.fetch(Wanted("", "3.20.6"))
        assert [file["path"] for file in json.loads(fetched.body)["files"]] == sorted(FILES)
        assert fetched.immutable
        assert fetched.companions[Wanted(ENGLISH, "3.20.6")] == FILES[ENGLISH]
    async with opened(None, environ={}, cdn=unused_url) as upstream:
        with pytest.raises(UpstreamRejected, match="a CDN does not list a package's files"):
            await upstream.fetch(Wanted("", "3.20.6"))


async def test_a_cdn_listing_that_is_none(server: HttpServer) -> None:
    """The sentence says what is missing."""
    server.on("/list/@varlet/ui", answer(b"{}"))
    async with opened(None, environ={}, cdn_listing=f"{server.url}/list") as upstream:
        with pytest.raises(UpstreamInvalid, match=r'^ui: the CDN\'s answer has no list of "versions"$'):
            await upstream.fetch(LISTING)
        with pytest.raises(UpstreamInvalid, match=r"^ui: the list of releases can't be read$"):
            upstream.releases(b'{"versions": []}')


async def test_npm_is_asked_once(varlet: Registry, tmp_path: Path) -> None:
    """`npm config get registry` starts Node.js; its answer is kept."""
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\necho {varlet.url}/\n")
    npm.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    async with opened(varlet, environ=environ, where=tmp_path) as upstream, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(upstream.fetch, Wanted(ENGLISH, "3.20.6"))
    assert (tmp_path / "asked").read_text() == "x\n"


async def test_identity() -> None:
    """The package, and a registry that the profile names; not where npm's configuration points."""

    async def identity(**more: Any) -> str:
        async with opened(None, environ=more.pop("environ", {}), **more) as upstream:
            return upstream.identity

    same = await identity()
    assert same == await identity(environ={"npm_config_registry": "https://registry.example"}, timeout="1s")
    others = [await identity(package="vue"), await identity(registry="https://registry.example")]
    assert len({same, *others}) == 3


@pytest.mark.network
async def test_the_real_registry() -> None:
    """npm's own configuration leads to a registry that has this release, whose hash holds."""
    home = Path.home()
    section: dict[str, Any] = {"timeout": "60s", "retries": 2}
    async with opened(None, environ=os.environ, where=home, **section) as upstream:
        try:
            listing = await upstream.fetch(LISTING)
        except GatewayError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"the npm registry can't be reached: {error}")
        assert upstream.releases(listing.body).resolve("3.20.6") == "3.20.6"
        got = await upstream.fetch(Wanted(ENGLISH, "3.20.6"))
    tags = json.loads(got.body)["contributions"]["html"]["tags"]
    assert "var-button" in {tag["name"] for tag in tags}
    assert any(wanted.path.startswith("highlight/web-types.") for wanted in got.companions)
