"""Every component of three releases, against the package's own web-types."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.real import Docs, Release, answer, npm_registry, open_shipped, real_docs

__all__ = ["npm_registry", "real_docs"]

pytestmark = pytest.mark.network


@pytest.mark.parametrize("near", ["3.20.6", "3.9.1", "2.22.0"])
async def test_every_component(near: str, tmp_path: Path, npm_registry: str, real_docs: Docs) -> None:
    """Info, props, events and slots are what the release publishes, in both languages; and nothing is left out."""
    release = Release(npm_registry, near)
    version = release.version
    async with open_shipped(tmp_path, npm_registry, real_docs) as gateway:
        listed = await answer(gateway, "list_components", version=version)
        assert [one["name"] for one in listed["components"]] == [f"var-{name}" for name in release.components()]
        whole = {
            one["name"]: one for one in (await answer(gateway, "get_api_by_version", version=version))["components"]
        }
        for locale in ("en-US", "zh-CN"):
            for name, tag in release.components(locale).items():
                about = {"name": name, "version": version, "locale": locale}
                head = {"name": tag["name"], "version": version}
                props, events, slots = (tag.get(key, []) for key in ("attributes", "events", "slots"))
                assert await answer(gateway, "get_component_props", **about) == {**head, "props": props}
                assert await answer(gateway, "get_component_events", **about) == {**head, "events": events}
                assert await answer(gateway, "get_component_slots", **about) == {**head, "slots": slots}
                info = await answer(gateway, "get_component_info", **about)
                names = {
                    "props": [each["name"] for each in props],
                    "events": [each["name"] for each in events],
                    "slots": [each["name"] for each in slots],
                }
                assert names.items() <= info.items()
                assert (info["tag"], info["version"]) == (tag["name"], version)
                if locale == "en-US":
                    assert whole[tag["name"]] == {"name": tag["name"], **names}
