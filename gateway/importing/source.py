"""Reading a specification: a file or an address, JSON or YAML, bounded in size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import trio

from gateway.errors import GatewayError
from gateway.profile.units import format_size
from gateway.upstream.printable import printable

MAX_SIZE = 64_000_000
"""Bytes of a specification; the largest that are published have a fifth of it."""
_PATIENCE = 60.0
"""Seconds for a specification to arrive."""


class SpecificationError(GatewayError):
    """A specification that can't be read, or says what no tool can be made of."""


@dataclass(frozen=True, slots=True)
class Specification:
    """A specification as text and as data."""

    name: str
    text: str
    content: Any


def is_address(where: str) -> bool:
    """Whether `where` is an address rather than a file."""
    return where.lower().startswith(("http://", "https://"))


async def read_specification(where: str) -> Specification:
    """The specification in a file or at an address; raises SpecificationError. Can be cancelled while it arrives."""
    if is_address(where):
        with trio.move_on_after(_PATIENCE) as scope:
            data = await _download(where)
        if scope.cancelled_caught:
            raise SpecificationError(f"{where}: can't be fetched: it took more than {_PATIENCE:.0f}s")
    else:
        data = await trio.to_thread.run_sync(_read, where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{where}: expected UTF-8, found other bytes at {error.start}") from None
    return Specification(where, text, await trio.to_thread.run_sync(_parsed, where, text))


def _read(where: str) -> bytes:
    try:
        if not Path(where).is_file():
            raise SpecificationError(f"{where}: expected a file or an address, found neither")
        with Path(where).open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise SpecificationError(f"{where}: can't be read: {error.strerror}") from None
    _refuse_large(where, len(data))
    return data


async def _download(where: str) -> bytes:
    import httpx2

    data = bytearray()
    try:
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=_PATIENCE) as client,
            client.stream("GET", where) as response,
        ):
            if response.status_code != 200:
                moved = response.headers.get("location", "")
                hint = f"; it points to {printable(moved, 200)}" if moved else ""
                raise SpecificationError(f"{where}: expected 200, found {response.status_code}{hint}")
            async for chunk in response.aiter_bytes():
                data += chunk
                _refuse_large(where, len(data))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = printable(str(error), 200) or type(error).__name__
        raise SpecificationError(f"{where}: can't be fetched: {reason}") from None
    return bytes(data)


def _refuse_large(where: str, size: int) -> None:
    if size > MAX_SIZE:
        raise SpecificationError(f"{where}: expected at most {format_size(MAX_SIZE)}, found more")


def _parsed(where: str, text: str) -> Any:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            json_problem = printable(str(error), 200)
    else:
        json_problem = ""
    from gateway.importing.yaml import YamlProblem, parse_yaml  # an API in JSON needs no YAML

    try:
        return parse_yaml(text)
    except YamlProblem as error:
        kind, reason = ("JSON", json_problem) if json_problem else ("YAML", str(error))
        raise SpecificationError(f"{where}: is no {kind}: {reason}") from None
