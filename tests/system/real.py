"""The shipped catalogue in this process, over the registry's real package and Varlet's documentation on loopback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
import orjson
import pytest

from gateway.assembly import Gateway, open_gateway
from gateway.profile.loader import load_profile
from gateway.profile.search import shipped_folder
from tests.fakes import varlet
from tests.system.small_docs import write_small_docs

PACKAGE = "@varlet%2fui"
SHARED = Path(__file__).parents[3] / "shared" / "upstream"


@pytest.fixture(scope="session")
def npm_registry() -> str:
    """The registry that npm is configured for here; skips where there is none, except under CI=true."""
    try:
        npm = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, text=True, timeout=60, check=True
        )
        found = npm.stdout.strip().rstrip("/")
        httpx2.get(f"{found}/{PACKAGE}", timeout=20, trust_env=False).raise_for_status()
    except (OSError, subprocess.SubprocessError, httpx2.HTTPError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no package registry can be reached: {error}")
    return found


class Release:
    """One release of the package as it is published, read without the gateway."""

    def __init__(self, registry: str, near: str) -> None:
        with httpx2.Client(timeout=60, trust_env=False) as client:
            listing = client.get(f"{registry}/{PACKAGE}").json()
            self.version = nearest(near, listing["versions"])
            packed = client.get(listing["versions"][self.version]["dist"]["tarball"]).content
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            self.files = {
                member.name.removeprefix("package/"): file.read()
                for member in archive
                if (file := archive.extractfile(member)) is not None
            }

    def components(self, locale: str = "en-US") -> dict[str, dict[str, Any]]:
        """The tags of the web-types, by name without `var-`."""
        document = json.loads(self.files[f"highlight/web-types.{locale}.json"])
        return {tag["name"].removeprefix("var-"): tag for tag in document["contributions"]["html"]["tags"]}


def nearest(version: str, published: Mapping[str, Any]) -> str:
    """The published release of the same major version that is nearest to `version`."""

    def number(text: str) -> int:
        major, minor, patch = (int(part) for part in text.partition("-")[0].split("."))
        return (major * 1000 + minor) * 1000 + patch

    same = [name for name in published if name.partition(".")[0] == version.partition(".")[0] and "-" not in name]
    return min(same, key=lambda name: abs(number(name) - number(version)))


@pytest.fixture(scope="session")
def newest(npm_registry: str) -> Release:
    return Release(npm_registry, "3.20.6")


class Docs(ThreadingHTTPServer):
    """Serves a folder `varletjs/varlet@VERSION/…` by the paths of the CDN that has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(("127.0.0.1", 0), _Answering)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def text(self, path: str) -> str:
        """A file of the newest release."""
        return (self.root / f"varletjs/varlet@{self.versions[0]}" / path).read_text()

    @property
    def versions(self) -> list[str]:
        names = [path.name.partition("@")[2] for path in (self.root / "varletjs").glob("varlet@*")]
        return sorted(names, key=lambda name: [int(part) for part in name.split(".")], reverse=True)

    def found(self, path: str) -> tuple[bytes, str] | None:
        """The body and type at a path."""
        listing = path.removeprefix("/v1/packages/gh/varletjs/varlet")
        if listing == "":
            about: dict[str, Any] = {"tags": {}, "versions": [{"version": name} for name in self.versions]}
            return json.dumps(about).encode(), "application/json"
        if listing != path:
            folder = self.root / f"varletjs/varlet{listing}"
            names = [f"/{file.relative_to(folder)}" for file in sorted(folder.rglob("*")) if file.is_file()]
            return json.dumps({"files": [{"name": name} for name in names]}).encode(), "application/json"
        file = self.root / path.removeprefix("/gh/")
        return (file.read_bytes(), "text/markdown; charset=utf-8") if file.is_file() else None


class _Answering(BaseHTTPRequestHandler):
    server: Docs

    def do_GET(self) -> None:
        body, kind = self.server.found(unquote(urlsplit(self.path).path)) or (b"", "")
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def real_docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docs]:
    """Varlet's own documentation where it is at hand, else a small one with pages of the same names."""
    root = SHARED
    if not (root / "varletjs").is_dir():
        root = tmp_path_factory.mktemp("docs")
        write_small_docs(root)
    with Docs(root) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@asynccontextmanager
async def open_shipped(folder: Path, registry: str, docs: Docs) -> AsyncIterator[Gateway]:
    """The development profile, as it is shipped, in this process."""
    environ = {"PATH": os.environ["PATH"], "CACHE_DIRECTORY": str(folder), "npm_config_registry": registry}
    overrides = [part for part in varlet.documentation(docs.url) if part != "--set"]
    loaded = load_profile("development", environ=environ, overrides=overrides, cwd=folder, folders=[shipped_folder()])
    async with open_gateway(loaded.profile, environ, ahead=False) as gateway:
        yield gateway


async def answer(gateway: Gateway, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that has to succeed, with all its parts put together."""
    result = await gateway.catalogue.call(tool, arguments)
    assert not result.is_error, result.message
    content: dict[str, Any] = orjson.loads(result.payload)["structuredContent"]
    while (cursor := content.pop("nextCursor", None)) is not None:
        assert len(result.payload) < 80_000
        more = orjson.loads((await gateway.catalogue.call(tool, {**arguments, "cursor": cursor})).payload)
        for key, value in more["structuredContent"].items():
            content[key] = content[key] + value if isinstance(value, list) and value != content[key] else value
    return content


async def sentence(gateway: Gateway, tool: str, /, **arguments: Any) -> str:
    """What a call says that has to fail."""
    result = await gateway.catalogue.call(tool, arguments)
    assert result.message is not None
    return result.message
