"""`gateway import` on the real thing: GitHub's own specification from npm, and MCP's own server."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest
import trio

from tests.fakes.http_server import HttpServer, answer
from tests.system.npm import npm_servers, program
from tests.system.processes import run

__all__ = ["npm_servers"]  # a fixture is found in the module that uses it

PACKAGE = "@octokit/openapi"
FILE = "package/generated/api.github.com.json"


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """GitHub's specification, by npm's own configuration; skips where npm can't fetch it, except under CI=true."""
    folder = tmp_path_factory.mktemp("octokit")
    try:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=110, check=True
        )
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            file = archive.extractfile(FILE)
            assert file is not None
            return file.read()
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{PACKAGE} can't be fetched: {error}")


@pytest.mark.network
async def test_github(tmp_path: Path, github: bytes) -> None:
    """About a thousand operations are imported, each as a tool that loads and whose schemas compile."""
    (tmp_path / "github.json").write_bytes(github)
    told = await run(tmp_path, "import", "openapi", "github.json", "-o", "gh.toml", "--name", "github")
    assert told.code == 0, told.err
    assert "tools imported" in told.err
    checked = await run(tmp_path, "check", "--profile", "./gh.toml")
    assert checked.code == 0, checked.err
    tools = tomllib.loads((tmp_path / "gh.toml").read_text())["tools"]
    paths = json.loads(github)["paths"]
    operations = sum(method in item for item in paths.values() for method in ("get", "post", "put", "patch", "delete"))
    assert operations > 1000
    assert len(tools) > operations * 0.97
    for tool in tools.values():
        for schema in (tool.get("input", {}), tool.get("output", {})):
            jsonschema_rs.validator_for(schema, offline=True)


@pytest.mark.network
async def test_calls_of_github(tmp_path: Path, github: bytes, nursery: trio.Nursery) -> None:
    """Imported tools ask as the API wants to be asked: paths, queries and JSON, and answers as they are declared."""
    server = HttpServer()
    await nursery.start(server.serve)
    (tmp_path / "github.json").write_bytes(github)
    chosen = ("--include", "issues/*", "--base-url", server.url, "--name", "github", "--prefix", "gh_")
    told = await run(tmp_path, "import", "openapi", "github.json", "-o", "gh.toml", *chosen)
    assert told.code == 0, told.err

    query = "state=open&sort=created&direction=desc&per_page=2&page=1"
    server.on(f"/repos/a%2Fb/c/issues?{query}", answer(b'[{"number": 1, "title": "x", "body": null}]'))
    arguments = ("owner=a/b", "repo=c", "state=open", "per_page=2")
    listed = await run(tmp_path, "call", "--profile", "./gh.toml", "gh_issues_list_for_repo", *arguments)
    assert listed.code == 0, listed.out + listed.err + str(server.targets())
    assert listed.result["structuredContent"] == {"items": [{"number": 1, "title": "x", "body": None}]}

    server.on("/repos/a/c/issues", answer(b'{"number": 2}', status="201 Created"))
    arguments = ("owner=a", "repo=c", "title=New", 'labels=["bug"]')
    made = await run(tmp_path, "call", "--profile", "./gh.toml", "gh_issues_create", *arguments)
    assert made.code == 0, made.out + made.err
    sent = server.requests[-1]
    assert (sent.method, json.loads(sent.body)) == ("POST", {"title": "New", "labels": ["bug"]})


@pytest.mark.network
async def test_everything(tmp_path: Path, npm_servers: Path) -> None:
    """MCP's own server is imported with every definition pinned, and called through the gateway."""
    command = ("node", program(npm_servers, "everything"), "stdio")
    told = await run(tmp_path, "import", "mcp", "-o", "far.toml", "--name", "far", "--", *command)
    assert told.code == 0, told.err
    (upstream,) = tomllib.loads((tmp_path / "far.toml").read_text())["upstreams"].values()
    assert {"tools/echo", "prompts/simple-prompt"} <= set(upstream["pins"])
    call = await run(tmp_path, "call", "--profile", "./far.toml", "far_echo", "message=hello")
    assert call.code == 0, call.out + call.err
    assert "hello" in call.text
