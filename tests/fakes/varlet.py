"""A small package and a small documentation in the layout of Varlet's, made here."""

from __future__ import annotations

import json
from typing import Any

import trio

from tests.fakes.http_server import HttpServer, Request, answer
from tests.fakes.registry import Registry, package

PACKAGE = "@varlet/ui"
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
"""Oldest first; the last one is `latest`."""

TOOLS = (
    "list_components",
    "get_component_info",
    "get_api_by_version",
    "get_package_exports",
    "list_versions",
    "get_component_props",
    "get_component_events",
    "get_component_slots",
    "get_component_style_variables",
    "get_component_types",
    "get_directive_info",
    "get_component_documentation",
    "get_component_examples",
    "generate_component_template",
    "get_playground_link",
    "search_documentation",
    "list_guides",
    "get_guide",
    "get_installation_guide",
    "get_changelog",
    "get_release_notes",
    "get_migration_guide",
    "check_compatibility",
)
"""The tools of the catalogue, in its order."""


def tag(name: str, props: list[str], events: list[str] | None = None, slots: list[str] | None = None) -> dict[str, Any]:
    """A component as web-types describe it."""
    described: dict[str, Any] = {
        "name": name,
        "attributes": [
            {
                "name": prop,
                "description": f"the {prop} ☕",
                "default": "-",
                "value": {"type": "string", "kind": "expression"},
            }
            for prop in props
        ],
    }
    if events is not None:
        described["events"] = [{"name": event, "description": f"on {event}"} for event in events]
    if slots is not None:
        described["slots"] = [{"name": slot, "description": f"in {slot}"} for slot in slots]
    return described


def web_types(version: str) -> dict[str, Any]:
    """What `highlight/web-types.en-US.json` of a release says."""
    tags = [
        tag("var-button", ["type", "size", f"since-{version}"], ["click"], ["default"]),
        tag("var-button-group", ["vertical"]),
        tag("var-dialog", ["show", "teleport"], ["open", "close"]),
        tag("var-input", ["rules", "placeholder"], ["input"], ["prepend-icon"]),
    ]
    return {"framework": "vue", "name": "VARLET", "version": version, "contributions": {"html": {"tags": tags}}}


def files(version: str) -> dict[str, bytes]:
    """The files of a release."""
    described = json.dumps(web_types(version), ensure_ascii=False).encode()
    return {
        "package.json": json.dumps({"name": PACKAGE, "version": version}).encode(),
        "highlight/web-types.en-US.json": described,
        "highlight/web-types.zh-CN.json": described,
        "lib/index.js": b"export {}\n",
    }


def publish(registry: Registry) -> None:
    """Publish every release of the package."""
    for version in VERSIONS:
        registry.publish(PACKAGE, version, package(files(version)))


def hold(registry: Registry, asked: trio.Event, go_on: trio.Event) -> None:
    """Let the newest release's tarball say when it is asked for, and wait with it until it may go on."""
    packed = package(files(VERSIONS[-1]))

    async def handler(_request: Request, stream: trio.SocketStream) -> None:
        asked.set()
        await go_on.wait()
        await stream.send_all(answer(packed, "application/octet-stream"))

    registry.on(registry.tarball_target(PACKAGE, VERSIONS[-1]), handler)


def page(name: str, version: str) -> str:
    """A component's documentation."""
    return (
        f"# {name}\n\nOf {version}.\n\n## Basic use\n\n```html\n<var-{name} />\n```\n\n### Size\n\n```vue\n<b/>\n```\n"
    )


def document(server: HttpServer) -> None:
    """Serve the documentation as the CDN does, with the list of releases."""
    listing = {"type": "gh", "tags": {}, "versions": [{"version": version} for version in reversed(VERSIONS)]}
    server.on("/v1/packages/gh/varletjs/varlet", answer(json.dumps(listing).encode()))
    for version in VERSIONS:
        for name in ("button", "dialog"):
            path = f"/gh/varletjs/varlet@{version}/packages/varlet-ui/src/{name}/docs/en-US.md"
            server.on(path, answer(page(name, version).encode(), "text/markdown; charset=utf-8"))


def documentation(url: str) -> list[str]:
    """The options that lead the documentation's upstream to a server at `url`."""
    return [
        "--set",
        f"upstreams.varlet-docs.base_url={url}/gh/varletjs/varlet@{{version}}",
        "--set",
        f"upstreams.varlet-docs.versions.url={url}/v1/packages/gh/varletjs/varlet",
        "--set",
        f"upstreams.varlet-files.base_url={url}/v1/packages/gh/varletjs/varlet@{{version}}",
        "--set",
        f"upstreams.varlet-files.versions.url={url}/v1/packages/gh/varletjs/varlet",
    ]
