"""An npm registry on a loopback socket, with packages that a test makes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http_server import HttpServer, Request, Script, answer


def member(path: str, body: bytes = b"", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of a tarball; `more` sets attributes of its header, such as `type` and `linkname`."""
    header = tarfile.TarInfo(path)
    header.size = len(body)
    for name, value in more.items():
        setattr(header, name, value)
    return header, body


def tarball(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A gzipped tarball of these entries, whatever they are."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for header, body in members:
            archive.addfile(header, io.BytesIO(body))
    return gzip.compress(plain.getvalue(), 6)


def package(files: Mapping[str, bytes]) -> bytes:
    """A tarball as npm packs it: everything in the folder `package`."""
    return tarball(member(f"package/{path}", body) for path, body in files.items())


def sri(packed: bytes, algorithm: str = "sha512") -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, packed).digest()).decode()}"


@dataclass
class Registry(HttpServer):
    """Serves packuments and tarballs as a registry does; `on` of the server overrides an address."""

    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    tarball_host: str = ""
    """The origin in the tarballs' addresses, where it is not the server's own."""
    prefix: str = ""
    """The path that the registry is under."""

    @property
    def registry_url(self) -> str:
        return self.url + self.prefix

    def publish(
        self, name: str, version: str, packed: bytes, *, tag: str = "latest", dist: Mapping[str, str] | None = None
    ) -> None:
        """Add a release; `dist` replaces what the packument says of the tarball's hashes."""
        path = f"{self.prefix}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        document = self.packages.setdefault(name, {"name": name, "dist-tags": {}, "versions": {}})
        document["dist-tags"][tag] = version
        hashes = dist if dist is not None else {"integrity": sri(packed)}
        origin = self.tarball_host or self.url
        document["versions"][version] = {"name": name, "version": version, "dist": {"tarball": origin + path, **hashes}}
        self.on(path, answer(packed, "application/octet-stream"))

    def packument_target(self, name: str) -> str:
        return f"{self.prefix}/{name.replace('/', '%2f')}"

    def tarball_target(self, name: str, version: str) -> str:
        return f"{self.prefix}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"

    def script_for(self, request: Request) -> Script:
        for name, document in self.packages.items():
            if request.target == self.packument_target(name) and request.target not in self.scripts:
                etag = f'"{len(document["versions"])}"'
                if request.headers.get("if-none-match") == etag:
                    return answer(status="304 Not Modified", content_type="", headers={"ETag": etag})
                return answer(json.dumps(document).encode(), headers={"ETag": etag})
        return super().script_for(request)
