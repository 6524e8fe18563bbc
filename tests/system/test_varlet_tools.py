"""Every tool, resource and prompt of the Varlet catalogue, on what Varlet has really published."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from gateway.assembly import Gateway
from gateway.catalogue.federated import Asking
from gateway.errors import ToolError
from tests.fakes import varlet
from tests.system.real import Docs, Release, answer, newest, npm_registry, open_shipped, real_docs, sentence

__all__ = ["newest", "npm_registry", "real_docs"]

pytestmark = pytest.mark.network


@pytest.fixture
async def gateway(tmp_path: Path, npm_registry: str, real_docs: Docs) -> AsyncIterator[Gateway]:
    async with open_shipped(tmp_path, npm_registry, real_docs) as gateway:
        yield gateway


def test_every_tool_has_a_test() -> None:
    """Each tool of the catalogue is called somewhere among these tests."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_varlet_*.py"))
    assert [tool for tool in varlet.TOOLS if f'"{tool}"' not in tests] == []


async def test_definitions(gateway: Gateway) -> None:
    """Each says what it is for, what it takes and gives, and that it only reads."""
    for definition in gateway.catalogue.definitions:
        assert len(definition["description"]) > 60
        assert definition["title"]
        assert definition["outputSchema"]["properties"]
        assert (definition["annotations"]["readOnlyHint"], definition["annotations"]["idempotentHint"]) == (True, True)
        for name, about in definition["inputSchema"]["properties"].items():
            assert about.get("description"), f"{definition['name']}.{name}"
    takes = {each["name"]: each["inputSchema"]["properties"].keys() for each in gateway.catalogue.definitions}
    assert {name for name, known in takes.items() if "version" not in known} == {"list_versions", "get_migration_guide"}
    assert {name for name, known in takes.items() if "locale" in known} >= {
        "get_component_props", "get_component_documentation", "search_documentation", "get_guide", "list_guides",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_api_by_version", {}),
        ("get_component_documentation", {"name": "data-table"}),
        ("get_changelog", {"limit": 200}),
        ("get_migration_guide", {"from": "2"}),
        ("get_component_style_variables", {"name": "theme"}),
        ("list_versions", {"limit": 1000}),
        ("list_components", {}),
    ],
)
async def test_an_answer_fits_into_a_context(gateway: Gateway, tool: str, arguments: dict[str, Any]) -> None:
    """The longest answers come in parts of at most 24KB, each of which is what its schema says."""
    schema = next(each["outputSchema"] for each in gateway.catalogue.definitions if each["name"] == tool)
    cursor: dict[str, str] = {}
    for _ in range(100):
        result = orjson.loads((await gateway.catalogue.call(tool, {**arguments, **cursor})).payload)
        text = "".join(part["text"] for part in result["content"])
        assert max(len(text.encode()), len(orjson.dumps(result["structuredContent"]))) <= 24_500
        jsonschema_rs.validate(schema, result["structuredContent"])
        if "nextCursor" not in result["structuredContent"]:
            return
        cursor = {"cursor": result["structuredContent"]["nextCursor"]}
    raise AssertionError("there is no end")


async def test_components(gateway: Gateway, newest: Release) -> None:
    """The latest release by default; narrowed down by part of a name and by category."""
    listed = await answer(gateway, "list_components")
    assert listed["version"] == newest.version
    forms = await answer(gateway, "list_components", category="form")
    with_rules = {
        f"var-{name}"
        for name, tag in newest.components().items()
        if "rules" in {prop["name"] for prop in tag.get("attributes", [])}
    }
    assert {one["name"] for one in forms["components"]} == with_rules
    tabs = await answer(gateway, "list_components", search="VarTab")
    assert {"var-tab", "var-tabs"} <= {one["name"] for one in tabs["components"]}
    info = await answer(gateway, "get_component_info", name="VarButton")
    assert (info["import"], info["related"]) == ('import { Button } from "@varlet/ui"', ["var-button-group"])
    assert "Did you mean button" in await sentence(gateway, "get_component_info", name="buton")


async def test_one_prop(gateway: Gateway, newest: Release) -> None:
    """One prop in any spelling, and the names of all where there is no such prop."""
    props = newest.components()["button"]["attributes"]
    one = await answer(gateway, "get_component_props", name="button", prop="loadingType")
    assert one["props"] == [prop for prop in props if prop["name"] == "loading-type"]
    none = await answer(gateway, "get_component_props", name="button", prop="loadngType")
    assert (none["props"], none["names"]) == ([], [prop["name"] for prop in props])


async def test_styles_and_types(gateway: Gateway, newest: Release) -> None:
    """Variables with their defaults, as the style sheets have them; declarations as they are published."""
    for name, file in (("button", "es/button/button.css"), ("date-picker", "es/date-picker/date-picker.css")):
        found = await answer(gateway, "get_component_style_variables", name=name)
        declared = newest.files[file].decode().partition(":root")[2].partition("{")[2].partition("}")[0]
        expected = [part.strip().partition(":") for part in declared.split(";") if part.strip()]
        assert [(one["name"], one["default"]) for one in found["variables"]] == [
            (variable.strip(), default.strip()) for variable, _, default in expected
        ]
    assert (await answer(gateway, "get_component_style_variables", name="row"))["variables"] == []
    theme = await answer(gateway, "get_component_style_variables", name="theme")
    assert "--color-primary" in {one["name"] for one in theme["variables"]}
    types = await answer(gateway, "get_component_types", name="menu-option")
    assert types["types"] == newest.files["types/menuOption.d.ts"].decode()
    assert "Did you mean menu-option" in await sentence(gateway, "get_component_types", name="menu-optoin")


async def test_directives(gateway: Gateway, newest: Release) -> None:
    """All of them with their types, and one with its page."""
    every = await answer(gateway, "get_directive_info")
    assert [(one["directive"], one["types"]) for one in every["directives"]] == [
        (f"v-{name}", newest.files[f"types/{name}.d.ts"].decode()) for name in ("ripple", "hover", "lazy")
    ]
    one = await answer(gateway, "get_directive_info", name="vRipple")
    assert one["directives"] == every["directives"][:1]
    assert one["documentation"][0]["title"] == "Ripple Directive"
    assert "have ripple, hover and lazy" in await sentence(gateway, "get_directive_info", name="drag")
    assert "no release matches" in await sentence(gateway, "get_directive_info", name="lazy", version="99.0.0")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_documentation(gateway: Gateway, real_docs: Docs, locale: str) -> None:
    """A page's parts put together are the page; a section is one of them; examples are its code."""
    source = real_docs.text(f"packages/varlet-ui/src/button/docs/{locale}.md")
    page = await answer(gateway, "get_component_documentation", name="Button", locale=locale)
    assert "\n".join(part["text"] for part in page["parts"]) == source
    part = await answer(gateway, "get_component_documentation", name="button", locale=locale, section="api")
    assert part["parts"][0]["title"] == "API"
    nothing = await answer(gateway, "get_component_documentation", name="button", locale=locale, section="Apy")
    assert nothing["note"].startswith("There is no section Apy. There are: ")
    examples = (await answer(gateway, "get_component_examples", name="button", locale=locale))["examples"]
    assert all(example["code"] in source for example in examples if "playground-ignore" not in source)
    basic = await answer(gateway, "get_component_examples", name="button", locale=locale, level="basic")
    assert basic["examples"] == examples[:1]


async def test_guides(gateway: Gateway, real_docs: Docs) -> None:
    """Every guide is listed with its title and can be read; installation comes out of them."""
    listed = await answer(gateway, "list_guides")
    titles = {guide["name"]: guide["title"] for guide in listed["guides"]}
    assert titles["importOnDemand"] == "Import On Demand"
    for name in titles:
        read = await answer(gateway, "get_guide", name=name)
        source = real_docs.text(f"packages/varlet-ui/docs/{name}.en-US.md")
        assert "\n".join(part["text"] for part in read["parts"]) == source
    assert (await answer(gateway, "get_guide", name="quick-start"))["outline"][0] == titles["quickstart"]
    assert "Did you mean quickstart" in await sentence(gateway, "get_guide", name="quickstrat")
    for method in ("vite", "nuxt", "webpack", "cdn"):
        for locale in ("en-US", "zh-CN"):
            steps = await answer(gateway, "get_installation_guide", method=method, locale=locale)
            assert steps["steps"], (method, locale)
    vite = await answer(gateway, "get_installation_guide")
    assert next(step["title"] for step in vite["steps"]) == "Webpack/Vite"
    assert "Vite" in [step["title"] for step in vite["steps"]]


async def test_releases(gateway: Gateway, newest: Release, real_docs: Docs) -> None:
    """Versions of the registry; the change log by range and component; one release's notes in order."""
    versions = await answer(gateway, "list_versions", range="^3.9", limit=3)
    assert versions["versions"][0] == versions["latest"] == newest.version
    assert len(versions["versions"]) == 3 < versions["total"]
    log = real_docs.text("CHANGELOG.md")
    found = await answer(gateway, "get_changelog", version="3.19.0")
    (release,) = found["releases"]
    section = re.split(r"^##? \[", log, flags=re.M)
    (text,) = (part for part in section if part.startswith("3.19.0]"))
    assert len(release["changes"]) == len(re.findall(r"^\* ", text, re.M))
    buttons = await answer(gateway, "get_changelog", component="Button", limit=1)
    assert all("button" in change.lower() for change in buttons["releases"][0]["changes"])
    notes = await answer(gateway, "get_release_notes", version="3.19.0")
    assert any("DateInput" in feature for feature in notes["features"])
    assert notes["date"] == "2026-06-29"
    assert "says nothing of 0.0.1" in await sentence(gateway, "get_release_notes", version="0.0.1")


async def test_the_package(gateway: Gateway, newest: Release) -> None:
    """What can be imported is what the module exports; what it needs is what it publishes."""
    exports = await answer(gateway, "get_package_exports")
    block = newest.files["es/index.mjs"].decode().partition("export {")[2].partition("}")[0]
    assert exports["exports"] == [name.strip() for name in block.split(",")]
    assert exports["entry_points"]["types"] in newest.files
    package = json.loads(newest.files["package.json"])
    checked = await answer(gateway, "check_compatibility", installed={"vue": "3.4.21"})
    assert checked["compatible"] is True
    assert {one["package"]: one["required"] for one in checked["checks"]} == {
        **package["peerDependencies"],
        **package["dependencies"],
    }
    assert (await answer(gateway, "check_compatibility", installed={"vue": "2.7.0", "dayjs": "1.11.0"}))[
        "compatible"
    ] is False
    assert (await answer(gateway, "check_compatibility"))["compatible"] is None


async def test_migration(gateway: Gateway, npm_registry: str) -> None:
    """Every prop that came or went between two releases is told, by comparing their web-types here."""
    old, new = Release(npm_registry, "3.9.0"), Release(npm_registry, "3.19.3")
    guide = await answer(gateway, "get_migration_guide", **{"from": old.version, "to": new.version})
    told = {(one["component"], one["change"], one["what"]) for one in guide["changes"]}
    before, after = old.components(), new.components()
    for name in before.keys() & after.keys():
        had, has = (
            {re.sub("^v-model:?", "", prop["name"]) or "model-value" for prop in each[name].get("attributes", [])}
            for each in (before, after)
        )
        for prop in has - had:
            assert (f"var-{name}", "added", f"prop {prop}") in told or not had
        for prop in had - has:
            assert (f"var-{name}", "removed", f"prop {prop}") in told or not has
    assert {f"var-{name}" for name in after.keys() - before.keys()} == {
        component for component, change, what in told if (change, what) == ("added", "component")
    }
    assert guide["guide"] == []
    major = await answer(gateway, "get_migration_guide", **{"from": "2", "component": "button"})
    assert {one["component"] for one in major["changes"]} == {"var-button"}
    assert major["guide"] == []
    major = await answer(gateway, "get_migration_guide", **{"from": "2"})
    assert major["guide"][0]["title"] == "Migrating from 2.x"
    assert all(len(orjson.dumps(one)) < 2000 for one in major["changes"])
    inputs = await answer(gateway, "get_migration_guide", **{"from": "2", "component": "input"})
    assert "prop model-value" not in {one["what"] for one in inputs["changes"]}  # v-model, spelled otherwise
    back = await answer(gateway, "get_migration_guide", **{"from": "3", "to": "2"})
    assert back["guide"] == []
    said = await sentence(gateway, "get_migration_guide", **{"from": "2", "component": "zzz"})
    assert said.startswith("No component named zzz in Varlet")


async def test_playground(gateway: Gateway) -> None:
    """The link holds the code, as the playground reads it: JSON of its files in base64."""
    code = "<template>\n  <var-button>按钮 ☕</var-button>\n</template>"
    link = await answer(gateway, "get_playground_link", code=code)
    url, _, files = link["url"].partition("#")
    assert url == "https://varletjs.org/playground/"
    assert json.loads(base64.b64decode(files)) == {"App.vue": code}
    example = await answer(gateway, "get_playground_link", name="Button")
    assert json.loads(base64.b64decode(example["url"].partition("#")[2])) == {"App.vue": example["code"]}
    assert "<var-button" in example["code"]
    assert (await sentence(gateway, "get_playground_link")).startswith("Nothing to open")
    longest = await answer(gateway, "get_playground_link", code="按" * 5000)
    assert len(longest["url"]) <= 24_000
    assert "longer than 5000" in await sentence(gateway, "get_playground_link", code="x" * 5001)


@pytest.mark.parametrize("near", ["2.6.3", "1.27.20"])
async def test_old_releases(gateway: Gateway, npm_registry: str, near: str) -> None:
    """Releases from before their files had a language in their names answer as well."""
    release = Release(npm_registry, near)
    tags = json.loads(release.files["highlight/web-types.json"])["contributions"]["html"]["tags"]
    button = next(tag for tag in tags if tag["name"] == "var-button")
    version = release.version
    props = await answer(gateway, "get_component_props", name="button", version=version)
    assert props == {"name": "var-button", "version": version, "props": button["attributes"]}
    assert len((await answer(gateway, "list_components", version=version))["components"]) == len(tags)
    assert (await answer(gateway, "get_component_style_variables", name="button", version=version))["variables"]
    assert "Button" in (await answer(gateway, "get_package_exports", version=version))["exports"]
    guide = await answer(gateway, "get_migration_guide", **{"from": version, "component": "button"})
    assert guide["from"] == version


async def test_what_is_no_range(gateway: Gateway) -> None:
    """Is told, and is no empty list."""
    assert "nonsense! is no range" in await sentence(gateway, "list_versions", range="nonsense!")
    assert "zzz is no release and no range" in await sentence(gateway, "get_changelog", version="zzz")
    picker = await answer(gateway, "get_changelog", component="input", limit=200)
    scopes = [change.split("**")[1].lower() for release in picker["releases"] for change in release["changes"]]
    assert all("input" in re.split(r"[:, ]+", scope) for scope in scopes)


async def test_resources(gateway: Gateway, real_docs: Docs) -> None:
    """Each can be read, its fields complete, and a page in Markdown is one."""
    catalogue = gateway.catalogue
    uris = [str(one["uri"]) for one in catalogue.listing("resources").definitions]
    assert uris == [
        "varlet://components",
        "varlet://directives",
        "varlet://docs/guides",
        "varlet://docs/api",
        "varlet://docs/changelog",
    ]
    for uri in uris:
        (content,) = (await catalogue.read(uri, Asking()))["contents"]
        assert json.loads(content["text"])
    fields = {
        "varlet://components/{name}": ("name", "button"),
        "varlet://guides/{name}": ("name", "quickstart"),
        "varlet://docs/{name}": ("name", "button"),
        "varlet://examples/{name}": ("name", "button"),
        "varlet://templates/{type}": ("type", "form"),
    }
    assert {one["uriTemplate"] for one in catalogue.listing("templates").definitions} == set(fields)
    for template, (field, value) in fields.items():
        ref = {"type": "ref/resource", "uri": template}
        typed = {"argument": {"name": field, "value": value[:3]}}
        assert value in (await catalogue.complete(ref, typed, Asking()))["completion"]["values"]
        (content,) = (await catalogue.read(template.replace(f"{{{field}}}", value), Asking()))["contents"]
        assert content["text"]
    (page,) = (await catalogue.read("varlet://docs/button", Asking()))["contents"]
    assert page["mimeType"] == "text/markdown"
    assert page["text"] == real_docs.text("packages/varlet-ui/src/button/docs/en-US.md")
    with pytest.raises(ToolError, match="Did you mean button"):
        await catalogue.read("varlet://components/buton", Asking())


async def test_prompts(gateway: Gateway) -> None:
    """Each is filled in with the resources that it speaks of; components complete."""
    given = {
        "use_component": {"name": "button", "task": "save a form"},
        "design_layout": {"page": "a list of mails"},
        "migrate_to_varlet": {"library": "Vant", "code": "<van-button />"},
        "troubleshoot": {"name": "select", "problem": "it does not open", "version": "3.9.0"},
        "optimize_performance": {},
    }
    assert [one["name"] for one in gateway.catalogue.listing("prompts").definitions] == list(given)
    for name, arguments in given.items():
        filled = await gateway.catalogue.prompt(name, arguments, Asking())
        kinds = [message["content"]["type"] for message in filled["messages"]]
        assert kinds[0] == "text"
        assert "resource" in kinds
        assert all(message["content"]["text"] for message in filled["messages"] if "text" in message["content"])
    ref = {"type": "ref/prompt", "name": "use_component"}
    typed = {"argument": {"name": "name", "value": "butt"}}
    assert (await gateway.catalogue.complete(ref, typed, Asking()))["completion"]["values"][:2] == [
        "button",
        "button-group",
    ]
