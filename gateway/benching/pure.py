"""What is done by the processor alone: rows of the disk tier, the key of a call, selection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from gateway.benching.entries import entry_of, key_of
from gateway.benching.iterations import in_a_row
from gateway.benching.model import Iteration, Subject
from gateway.benching.surroundings import SELECT, document, write_profile
from gateway.catalogue.policies import policy_of
from gateway.catalogue.select import Selection
from gateway.catalogue.tool import Tool
from gateway.pipeline.clock import Clock
from gateway.profile.loader import load_profile
from gateway.tiers.codec import Codec

_IN_A_ROW = 10
_COMPRESSED_FROM = 1000
_GAIN = 0.1


def _encode() -> Callable[[], object]:
    codec, key, entry = Codec(_COMPRESSED_FROM, _GAIN), key_of(1), entry_of(1, Clock())
    return lambda: codec.encode(key, entry)


def _decode() -> Callable[[], object]:
    codec, key = Codec(_COMPRESSED_FROM, _GAIN), key_of(1)
    row = codec.encode(key, entry_of(1, Clock()))
    return lambda: codec.decode(key, row)


def _select() -> Callable[[], object]:
    selection, found = Selection("tools.read_file.result.select", SELECT), document("button")
    return lambda: selection.of(found, {"name": "button"})


@asynccontextmanager
async def _open(make: Callable[[], Callable[[], object]], _: Path) -> AsyncIterator[Iteration]:
    yield in_a_row(make(), _IN_A_ROW)


@asynccontextmanager
async def _key(folder: Path) -> AsyncIterator[Iteration]:
    profile = load_profile(str(await write_profile(folder)), environ={}).profile
    section = profile.tools["read_file"]
    tool = Tool("read_file", section, policy_of(section.strategy, profile.strategies[section.strategy]), {"folder": ""})
    yield in_a_row(lambda: tool.key(tool.arguments.complete({"name": "Button"})), _IN_A_ROW)


SUBJECTS = (
    Subject("codec.encode", "a row of the disk tier out of an entry of 2 kB", partial(_open, _encode), _IN_A_ROW),
    Subject("codec.decode", "the entry out of it", partial(_open, _decode), _IN_A_ROW),
    Subject("key", "arguments checked, completed, normalised and made into a key", _key, _IN_A_ROW),
    Subject("select", "JMESPath over a document of 5 kB", partial(_open, _select), _IN_A_ROW),
)
