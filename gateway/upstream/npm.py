"""`type = "npm"`: the files of a package, from the registry that npm itself would ask, or else from a CDN."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

import orjson
import trio

from gateway.errors import UpstreamError, UpstreamNotFound, UpstreamRejected
from gateway.packed import packed_json
from gateway.pipeline.single_flight import SingleFlight
from gateway.printable import printable
from gateway.profile.upstreams.npm import NpmUpstream
from gateway.upstream.address import BaseAddress, checked_path
from gateway.upstream.body import Bound
from gateway.upstream.client import Answer, Client, open_client
from gateway.upstream.content import checked_body, media_type_of
from gateway.upstream.egress import Resolver, resolve
from gateway.upstream.glob import Glob
from gateway.upstream.integrity import verify
from gateway.upstream.model import JSON, Fetched, Validators, Wanted
from gateway.upstream.packument import ABBREVIATED, Dist, parse_cdn_listing, parse_listing, parse_packument
from gateway.upstream.policies.deadline import Doing, deadline
from gateway.upstream.registry import NpmEnvironment, Registry, find_registry
from gateway.upstream.tarball import Package, Unpacking, unpack
from gateway.upstream.versions import SemanticReleases

_RELEASES_REMEMBERED = 8
"""Releases whose file names are kept, so that asking for a file that is not there costs no download."""


class NpmPackage:
    """The releases of one package and their files. Made by `open_npm`; safe for concurrent use."""

    def __init__(
        self,
        name: str,
        section: NpmUpstream,
        *,
        registry_client: Client,
        cdn_client: Client,
        where: NpmEnvironment,
        wanted_patterns: Collection[str],
        flights: SingleFlight[Package],
    ) -> None:
        self.name = name
        self.identity = identity_of(section)
        self.policies = (registry_client.policies, cdn_client.policies)
        self._section = section
        self._registry_client = registry_client
        self._cdn_client = cdn_client
        self._where = where
        self._globs = [Glob(pattern) for pattern in wanted_patterns]
        self._flights = flights
        self._discovery: trio.Event | None = None
        self._discovered: list[Registry | None] = []
        self._dists: Mapping[str, Dist] = {}
        self._names: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._listing: tuple[bytes, SemanticReleases] | None = None
        # One at a time: unpacking holds the tarball and the files kept from it in memory.
        self._unpackers = trio.CapacityLimiter(1)

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """One file of one release, or the listing of releases.

        From a registry a file comes with others of the same tarball, as companions. However many callers wait for a
        release, it is downloaded once, and goes on when one of them is cancelled. A file is immutable; a listing has
        the registry's validators. A packument may be as large as `max_package_size`.
        Raises UpstreamError; UpstreamInvalid for a tarball that does not have the promised hash, of which nothing is
        read.
        """
        if wanted.listing:
            return await self._fetch_listing(validators)
        if wanted.version is not None and not wanted.path:
            return await self._fetch_names(wanted.version)
        if wanted.version is None or wanted.query or wanted.headers:
            raise UpstreamRejected(self.name, "a file of a package is named by path and version, and nothing else")
        checked_path(self.name, wanted.path)
        path = unquote(wanted.path).removeprefix("/")
        registry = await self._registry()
        if registry is None:
            return await self._fetch_from_cdn(wanted.path, path, wanted.version)
        package = await self._package(registry, wanted.version, path)
        release = wanted.version
        companions = {Wanted(quote(other), release): body for other, body in package.files.items() if other != path}
        return Fetched(package.files[path], media_type_of(path), immutable=True, companions=companions)

    def releases(self, listing: bytes) -> SemanticReleases:
        """The releases in `listing`; raises UpstreamInvalid. The last one parsed is remembered."""
        if self._listing is None or self._listing[0] != listing:
            self._listing = listing, parse_listing(self.name, listing)
        return self._listing[1]

    async def _registry(self) -> Registry | None:
        """Where the package comes from, found out once; after a failure, or when its caller goes away, by the next."""
        section, doing = self._section, Doing()
        doing.now = "finding out which registry npm uses"
        with deadline(self.name, section.timeout, doing):
            while not self._discovered:
                if self._discovery is not None:
                    # An event and not a lock: all who wait go on at once, and so join one download.
                    await self._discovery.wait()
                    continue
                self._discovery = trio.Event()
                try:
                    found = await find_registry(self.name, section.package, section.registry, self._where)
                    self._discovered.append(found)
                finally:
                    self._discovery.set()
                    self._discovery = None
        return self._discovered[0]

    async def _fetch_listing(self, validators: Validators | None) -> Fetched:
        registry = await self._registry()
        if registry is None:
            url = BaseAddress.plain(self.name, self._section.cdn_listing).join(self._section.package)
            answer = await self._cdn_client.get(url, validators=validators)
            listing = b"" if answer.not_modified else parse_cdn_listing(self.name, answer.body)
        else:
            answer = await self._packument(registry, validators)
            listing = b"" if answer.not_modified else self._learned(answer)
        if answer.not_modified:
            kept = validators or answer.validators
            return Fetched(b"", validators=kept, not_modified=True, directives=answer.directives)
        return Fetched(listing, JSON, answer.validators, directives=answer.directives)

    async def _packument(self, registry: Registry, validators: Validators | None = None) -> Answer:
        url = registry.packument(self._section.package)
        headers = [("Accept", ABBREVIATED), *registry.credentials(url)]
        bound = Bound(self._section.max_package_size, "max_package_size")
        return await self._registry_client.get(url, headers=headers, validators=validators, bound=bound)

    def _learned(self, packument: Answer) -> bytes:
        listing, self._dists = parse_packument(self.name, packument.body)
        return listing

    async def _package(self, registry: Registry, version: str, path: str) -> Package:
        """The release, with the file `path` in it; raises UpstreamNotFound where there is none."""
        known = self._names.get(version)
        if known is not None and path not in known:
            raise self._no_file(version, path)
        if self._matches(path):
            load = partial(self._load, registry, version, None)
            package = await self._flights.run((self.name, version), load)
            if path in package.files:
                return package
            if path not in package.names:
                raise self._no_file(version, path)
        # Not foreseen by the profile's templates, or left out for want of room or because it is not what it should be.
        package = await self._flights.run((self.name, version, path), partial(self._load, registry, version, path))
        if path not in package.files:
            raise self._no_file(version, path)
        return package

    async def _load(self, registry: Registry, version: str, required: str | None) -> Package:
        section, what, doing = self._section, f"{self._section.package} {version}", Doing()
        doing.now = "downloading the package"
        with deadline(self.name, section.timeout, doing):
            if version not in self._dists:
                self._learned(await self._packument(registry))
            dist = self._dists.get(version)
            if dist is None:
                raise UpstreamNotFound(self.name, f"there is no release {printable(version, 40)} of {section.package}")
            url = registry.tarball(dist.tarball)
            bound = Bound(section.max_package_size, "max_package_size")
            answer = await self._registry_client.get(
                url, headers=registry.credentials(url), bound=bound, coding="identity"
            )
            doing.now = "unpacking the package"
            unpacking = Unpacking(
                upstream=self.name,
                what=what,
                wanted=self._matches,
                required=required,
                unpacked=Bound(section.max_unpacked_size, "max_unpacked_size"),
                file=self._registry_client.bound,
                checkpoint=trio.from_thread.check_cancelled,
            )
            package = await trio.to_thread.run_sync(
                _verified_and_unpacked, answer.body, dist, unpacking, limiter=self._unpackers
            )
        self._remember(version, package.names)
        return package

    async def _fetch_names(self, version: str) -> Fetched:
        """The names of all files of a release, as a folder lists them (see files.py)."""
        registry = await self._registry()
        if registry is None:
            raise UpstreamRejected(self.name, "a CDN does not list a package's files; name a registry, or every path")
        package = await self._flights.run((self.name, version), partial(self._load, registry, version, None))
        body = packed_json({"files": [{"path": name} for name in sorted(package.names)]})
        companions = {Wanted(quote(path), version): content for path, content in package.files.items()}
        return Fetched(body, JSON, immutable=True, companions=companions)

    def _remember(self, version: str, names: frozenset[str]) -> None:
        self._names[version] = names
        self._names.move_to_end(version)
        while len(self._names) > _RELEASES_REMEMBERED:
            self._names.popitem(last=False)

    async def _fetch_from_cdn(self, encoded: str, path: str, version: str) -> Fetched:
        base = BaseAddress.plain(self.name, f"{self._section.cdn}/{self._section.package}@{quote(version, safe='')}")
        answer = await self._cdn_client.get(base.join(encoded))
        media_type = media_type_of(path)
        what = f"{self._section.package} {version}: the file {printable(path)}"
        return Fetched(checked_body(self.name, what, answer.body, media_type), media_type, immutable=True)

    def _matches(self, path: str) -> bool:
        return any(glob.matches(path) for glob in self._globs)

    def _no_file(self, version: str, path: str) -> UpstreamError:
        return UpstreamNotFound(self.name, f"{self._section.package} {version} has no file {printable(path, 120)}")


@asynccontextmanager
async def open_npm(
    name: str,
    section: NpmUpstream,
    *,
    environ: Mapping[str, str],
    cwd: Path,
    home: Path,
    wanted_patterns: Collection[str],
    flights: SingleFlight[Package],
    resolve: Resolver = resolve,
) -> AsyncIterator[NpmPackage]:
    """The upstream called `name`; leaving the block closes its connections.

    `environ`, `cwd` and `home` are where npm's configuration is looked for, at the first fetch. `wanted_patterns` name
    the files that a download keeps beside the one asked for: paths with `*` for any text within a segment. Loads run in
    the nursery of `flights`.

    A registry is the operator's word, be it the profile's or npm's, so it may be on a private address; the CDN may not,
    unless the profile says `private_addresses = true`.
    """
    trusted = section.model_copy(update={"private_addresses": True})
    async with (
        open_client(name, trusted, resolve=resolve) as registry_client,
        open_client(name, section, resolve=resolve) as cdn_client,
    ):
        yield NpmPackage(
            name,
            section,
            registry_client=registry_client,
            cdn_client=cdn_client,
            where=NpmEnvironment(environ, cwd, home),
            wanted_patterns=wanted_patterns,
            flights=flights,
        )


def _verified_and_unpacked(packed: bytes, dist: Dist, unpacking: Unpacking) -> Package:
    verify(unpacking.upstream, unpacking.what, packed, dist)
    return unpack(packed, unpacking)


def identity_of(section: NpmUpstream) -> str:
    """A short hash of what decides which document a `Wanted` means: the package, and a registry that is named here."""
    parts = [section.type, section.package, section.registry or ""]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=8).hexdigest()
