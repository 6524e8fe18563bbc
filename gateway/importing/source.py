"""Reading a specification: a file or an address, JSON or YAML, bounded in size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import trio

from gateway.errors import GatewayError, UpstreamError
from gateway.printable import printable
from gateway.profile.units import format_duration, format_size

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
    data = await (_download(where) if is_address(where) else trio.to_thread.run_sync(_read, where))
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
    """What is at an address, by the client that asks upstreams: bounded, without redirects, proxies and cookies.

    The person who imports has written the address, so it may be a private one.
    """
    import httpx2

    from gateway.profile.upstreams.policies import Politeness
    from gateway.upstream.client import open_client

    said = {"max_response_size": format_size(MAX_SIZE), "timeout": format_duration(_PATIENCE)}
    section = Politeness.model_validate({**said, "private_addresses": True, "retries": 0})
    try:
        async with open_client("specification", section) as client:
            return (await client.get(httpx2.URL(where))).body
    except httpx2.InvalidURL as error:
        raise SpecificationError(f"{where}: is no address: {printable(str(error), 200)}") from None
    except UpstreamError as error:
        reason = error.message.partition(" (upstreams.")[0]  # there is no such key: nobody has declared an upstream
        raise SpecificationError(f"{where}: can't be fetched: {reason}") from None


def _refuse_large(where: str, size: int) -> None:
    if size > MAX_SIZE:
        raise SpecificationError(f"{where}: expected at most {format_size(MAX_SIZE)}, found more")


def _parsed(where: str, text: str) -> Any:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise SpecificationError(f"{where}: is no JSON: {printable(str(error), 200)}") from None
    from gateway.importing.yaml import YamlProblem, parse_yaml  # an API in JSON needs no YAML

    try:
        return parse_yaml(text)
    except YamlProblem as error:
        raise SpecificationError(f"{where}: is no YAML: {error}") from None
