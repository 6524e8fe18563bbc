"""The shipped profile on the real thing: the registry's package, and Varlet's documentation where it is at hand."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.fakes import varlet
from tests.system.processes import NOWHERE, run
from tests.system.real import PACKAGE, SHARED, npm_registry

__all__ = ["npm_registry"]

SERVER = SHARED / "serve.py"

SAYING_ITS_PORT = """
import http.server, runpy, sys
activate = http.server.ThreadingHTTPServer.server_activate
def activate_and_say(self):
    activate(self)
    print(self.server_address[1], flush=True)
http.server.ThreadingHTTPServer.server_activate = activate_and_say
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.network
async def test_props_of_a_button(tmp_path: Path, npm_registry: str) -> None:
    """They are what the newest release's own file says; without the network they are so again, from disk."""
    first = await run(tmp_path, "call", "get_component_props", "name=button", registry=npm_registry)
    assert first.code == 0, first.out + first.err
    content = first.result["structuredContent"]
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
        listing = (await client.get(f"{npm_registry}/{PACKAGE}")).json()
        latest = listing["dist-tags"]["latest"]
        packed = (await client.get(listing["versions"][latest]["dist"]["tarball"])).content
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        file = archive.extractfile("package/highlight/web-types.en-US.json")
        assert file is not None
        tags = json.load(file)["contributions"]["html"]["tags"]
    button = next(tag for tag in tags if tag["name"] == "var-button")
    assert content == {"name": "var-button", "version": latest, "props": button["attributes"]}

    again = await run(tmp_path, "call", "get_component_props", "name=Button", registry=NOWHERE)
    assert again.result["structuredContent"] == content
    assert again.result["_meta"]["gateway/cache"]["tier"] == "disk"
    assert again.result["_meta"]["gateway/cache"]["status"] == "hit"


@pytest.fixture
def cdn(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Varlet's documentation on loopback, by the CDN's paths; skips where it is not at hand."""
    if not SERVER.is_file():
        pytest.skip("Varlet's documentation is not at hand: no ../shared/upstream")
    server = subprocess.Popen(
        [sys.executable, "-c", SAYING_ITS_PORT, str(SERVER), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}", server
    finally:
        server.kill()
        server.communicate()


async def test_documentation_and_examples_of_a_button(tmp_path: Path, cdn: tuple[str, subprocess.Popen[str]]) -> None:
    """Page and examples come from the documentation; with its server killed, both still do."""
    url, server = cdn
    where = varlet.documentation(url)
    page = await run(tmp_path, "call", "get_component_documentation", "name=Button", "--text", *where)
    newest = SERVER.parent / "varletjs" / "varlet@3.19.3" / "packages/varlet-ui/src/button/docs/en-US.md"
    assert page.out == newest.read_text() + "\n"
    examples = await run(tmp_path, "call", "get_component_examples", "name=button", *where)
    content = examples.result["structuredContent"]
    assert (content["name"], content["version"]) == ("var-button", "3.19.3")
    assert {"title": "Elevated Button", "language": "html"}.items() <= content["examples"][0].items()
    older = await run(tmp_path, "call", "get_component_examples", "name=button", "version=~3.9.0", *where)
    assert older.result["structuredContent"]["version"] == "3.9.1"

    server.kill()
    server.wait(30)
    again = await run(tmp_path, "call", "get_component_examples", "name=var-button", *where)
    assert again.result["structuredContent"] == content
    assert again.result["_meta"]["gateway/cache"]["tier"] == "disk"
    text = await run(tmp_path, "call", "get_component_documentation", "name=button", "--text", *where)
    assert text.out == page.out
