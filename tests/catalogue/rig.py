"""A catalogue made of a profile's text, over upstreams in memory, on whatever clock the test runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import trio

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.result import CallResult
from gateway.pipeline.clock import Clock
from gateway.pipeline.metered import Metered
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.loader import load_profile
from gateway.profile.profile import Profile
from gateway.tiers.memory import MemoryTier
from tests.fakes.tier import DictTier
from tests.fakes.upstream import FakeUpstream

HEAD = """
[cache.memory]
ttl = "1h"
[strategies.s]
ttl = "100s"
stale_while_revalidate = "50s"
stale_if_error = "1000s"
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
versions = { url = "https://api.example.org/releases", select = "@" }
"""


def profile_of(folder: Path, text: str) -> Profile:
    """The profile `text`, with one strategy `s` and one upstream `api` declared."""
    (folder / "p.toml").write_text(HEAD + text)
    return load_profile("p", environ={}, cwd=folder, folders=[folder]).profile


@dataclass
class Rig:
    """A catalogue and what it stands on."""

    profile: Profile
    catalogue: Catalogue
    memory: MemoryTier
    disk: DictTier
    pipeline: Pipeline
    clock: Clock
    api: FakeUpstream

    async def call(self, name: str = "t", /, **arguments: Any) -> CallResult:
        return await self.catalogue.call(name, arguments)

    async def value(self, name: str = "t", /, **arguments: Any) -> Any:
        """The structured content of a call that has to succeed."""
        result = orjson.loads((await self.call(name, **arguments)).payload)
        assert "isError" not in result, result
        return result["structuredContent"]

    async def sentence(self, name: str = "t", /, **arguments: Any) -> str:
        """What a call says that has to fail."""
        result = await self.call(name, **arguments)
        assert result.is_error
        assert result.answer is None
        return text_of(result)

    async def status(self, name: str = "t", /, **arguments: Any) -> tuple[str, str]:
        """Status and tier of a call, as its caller is told."""
        about = meta_of(await self.call(name, **arguments))
        return about["status"], about["tier"]


def text_of(result: CallResult) -> str:
    (content,) = orjson.loads(result.payload)["content"]
    assert isinstance(content["text"], str)
    return content["text"]


def meta_of(result: CallResult) -> Mapping[str, Any]:
    meta = orjson.loads(result.payload)["_meta"]["gateway/cache"]
    assert isinstance(meta, dict)
    return meta


@asynccontextmanager
async def open_rig(folder: Path, text: str, **more: FakeUpstream) -> AsyncIterator[Rig]:
    """A catalogue of `text`; `more` are upstreams beside `api`, by the name that the text declares them under."""
    profile = profile_of(folder, text)
    clock = Clock(wall=lambda: 0.0)
    memory, disk, api = MemoryTier(profile.cache.memory, clock), DictTier(), more.pop("api", FakeUpstream())
    async with trio.open_nursery() as nursery:
        pipeline = Pipeline(memory, [Metered(disk)], clock, loads=nursery, writes=nursery)
        catalogue = Catalogue(profile, pipeline, {"api": api, **more})
        yield Rig(profile, catalogue, memory, disk, pipeline, clock, api)
        nursery.cancel_scope.cancel()
