from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fakes import varlet
from tests.fakes.http_server import HttpServer
from tests.fakes.registry import Registry
from tests.system.processes import NOWHERE, Ended, run

NO_RETRIES = ("--set", "upstream_defaults.retries=0")


async def props(folder: Path, registry: str, *more: str, name: str = "button") -> Ended:
    return await run(folder, "call", "get_component_props", f"name={name}", *NO_RETRIES, *more, registry=registry)


async def test_what_the_package_says(tmp_path: Path, registry: Registry) -> None:
    """The props of a component are those of the newest release's web-types, member for member."""
    ended = await props(tmp_path, registry.url)
    described = varlet.web_types("2.0.0")["contributions"]["html"]["tags"][0]["attributes"]
    assert ended.code == 0
    assert ended.result["structuredContent"] == {"name": "var-button", "version": "2.0.0", "props": described}
    assert json.loads(ended.text) == ended.result["structuredContent"]
    about = ended.result["_meta"]["gateway/cache"]
    assert (about["status"], about["tier"]) == ("miss", "upstream")
    assert ended.err == ""


async def test_again_without_a_network(tmp_path: Path, registry: Registry) -> None:
    """A new process answers the same from disk while the registry is gone, in any spelling, and says so."""
    first = await props(tmp_path, registry.url)
    again = await props(tmp_path, NOWHERE, name="VarButton")
    assert again.code == 0
    assert again.result["structuredContent"] == first.result["structuredContent"]
    about = again.result["_meta"]["gateway/cache"]
    assert (about["status"], about["tier"]) == ("hit", "disk")
    assert about["age"] >= 0
    assert about["expires"] > 0


async def test_another_component_of_the_same_download(tmp_path: Path, registry: Registry) -> None:
    """The whole file is kept: another component needs no network either."""
    await props(tmp_path, registry.url)
    other = await props(tmp_path, NOWHERE, name="input")
    assert [prop["name"] for prop in other.result["structuredContent"]["props"]] == ["rules", "placeholder"]
    assert [target for target in registry.targets() if target.endswith(".tgz")] == [
        registry.tarball_target(varlet.PACKAGE, "2.0.0")
    ]


async def test_an_empty_cache_without_a_network(tmp_path: Path) -> None:
    """With nothing kept and nobody to ask, the result is an error of one sentence and the exit code 1."""
    ended = await props(tmp_path, NOWHERE)
    assert ended.code == 1
    assert ended.result["isError"] is True
    assert ended.text == f"varlet-package: no connection to {NOWHERE}/@varlet%2fui: Connection refused"


@pytest.mark.parametrize(
    ("version", "expected"), [("1.0.0", "1.0.0"), ("1.x", "1.1.0"), ("^1.0.0", "1.1.0"), ("latest", "2.0.0")]
)
async def test_versions(version: str, expected: str, tmp_path: Path, registry: Registry) -> None:
    """A release, a range and a dist-tag lead to the release that npm would take."""
    ended = await props(tmp_path, registry.url, f"version={version}")
    content = ended.result["structuredContent"]
    assert content["version"] == expected
    assert content["props"][2]["name"] == f"since-{expected}"


async def test_unknown_component(tmp_path: Path, registry: Registry) -> None:
    """A component that does not exist is answered with the nearest names."""
    ended = await props(tmp_path, registry.url, name="Buton")
    assert (ended.code, ended.text) == (
        1,
        "No component named Buton in @varlet/ui 2.0.0. Did you mean button or button-group? "
        "list_components names them all.",
    )


async def test_unknown_version(tmp_path: Path, registry: Registry) -> None:
    """A version that does not exist is answered with the newest ones."""
    ended = await props(tmp_path, registry.url, "version=9.9.9")
    assert ended.code == 1
    assert ended.text == ("varlet-package: no release matches version '9.9.9'. The newest are 2.0.0, 1.1.0, 1.0.0.")


async def test_every_package_tool(tmp_path: Path, registry: Registry) -> None:
    """The other tools of the package answer from the same file."""
    listed = await run(tmp_path, "call", "list_components", "search=Button", registry=registry.url)
    assert [one["name"] for one in listed.result["structuredContent"]["components"]] == [
        "var-button",
        "var-button-group",
    ]
    overlays = await run(tmp_path, "call", "list_components", "category=overlay", registry=registry.url)
    assert [one["name"] for one in overlays.result["structuredContent"]["components"]] == ["var-dialog"]
    info = await run(tmp_path, "call", "get_component_info", "name=ButtonGroup", registry=registry.url)
    assert info.result["structuredContent"] == {
        "name": "ButtonGroup",
        "tag": "var-button-group",
        "version": "2.0.0",
        "import": 'import { ButtonGroup } from "@varlet/ui"',
        "props": ["vertical"],
        "events": [],
        "slots": [],
        "related": [],
        "documentation": "https://varletjs.org/#/en-US/button-group",
    }
    events = await run(tmp_path, "call", "get_component_events", "name=dialog", registry=registry.url)
    assert [one["name"] for one in events.result["structuredContent"]["events"]] == ["open", "close"]
    slots = await run(tmp_path, "call", "get_component_slots", "name=dialog", registry=registry.url)
    assert slots.result["structuredContent"]["slots"] == []


async def test_documentation_and_examples(tmp_path: Path, docs: HttpServer) -> None:
    """The page comes as text and its examples as titled blocks; with the server gone, both still do."""
    where = varlet.documentation(docs.url)
    page = await run(tmp_path, "call", "get_component_documentation", "name=Button", "--text", *where)
    assert page.out == varlet.page("button", "2.0.0") + "\n"
    examples = ("call", "get_component_examples", "name=button", *where)
    first = await run(tmp_path, *examples)
    assert first.result["structuredContent"]["examples"] == [
        {"title": "Basic use", "language": "html", "code": "<var-button />"},
        {"title": "Size", "language": "vue", "code": "<b/>"},
    ]
    docs.scripts.clear()
    again = await run(tmp_path, *examples)
    assert again.result["structuredContent"] == first.result["structuredContent"]
    assert again.result["_meta"]["gateway/cache"]["tier"] == "disk"


async def test_documentation_of_no_component(tmp_path: Path, docs: HttpServer, registry: Registry) -> None:
    """A page that does not exist is answered with the nearest names of the package."""
    ended = await run(
        tmp_path,
        "call",
        "get_component_documentation",
        "name=buttn",
        *varlet.documentation(docs.url),
        registry=registry.url,
    )
    assert ended.text == (
        "No documentation of buttn in Varlet latest. Did you mean button or button-group? "
        "list_components names them all."
    )


async def test_no_tool(tmp_path: Path) -> None:
    """A tool that the profile does not declare is a sentence on stderr, with those that it does."""
    ended = await run(tmp_path, "call", "nope")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("gateway: no tool 'nope'; the profile development declares list_components, ")
