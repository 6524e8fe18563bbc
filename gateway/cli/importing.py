"""`gateway import`: a catalogue in TOML out of what others publish about an API, for a person to review."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
from cyclopts import App, Parameter

from gateway.atomic import write_atomically
from gateway.cli.run import run
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.importing.mcp import Server
    from gateway.importing.openapi.catalogue import Choice

importing = App(name="import", help="Write a catalogue in TOML out of an OpenAPI document or an MCP server.")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_SHOWN = 10
"""Operations that were left out and are told on stderr; the catalogue tells all of them."""

Output = Annotated[
    Path | None, Parameter(name=["--output", "-o"], help="The file to write; without it, stdout.", show_default=False)
]
Force = Annotated[bool, Parameter(negative="", help="Overwrite the file if it is there.")]
UpstreamName = Annotated[
    str | None, Parameter(name="--name", help="What to call the upstream; by default after what it calls itself.")
]


@importing.command
def openapi(
    specification: Annotated[str, Parameter(help="A file or an address: OpenAPI 3.0 or 3.1, JSON or YAML.")],
    /,
    *,
    output: Output = None,
    force: Force = False,
    name: UpstreamName = None,
    prefix: Annotated[str | None, Parameter(help="Stands in front of the names of all tools.")] = None,
    include: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Only operations whose id, path or tag matches; * is any text. Can be repeated."),
    ] = ("*",),
    exclude: Annotated[tuple[str, ...], Parameter(negative="", help="...and none of these. Can be repeated.")] = (),
    base_url: Annotated[
        str | None, Parameter(help="Where the API is, in place of what the specification says.", show_default=False)
    ] = None,
) -> int:
    """Make every operation of an OpenAPI document a tool, and write them as a catalogue.

    What can't be a tool is left out, and told at the end of the catalogue and on stderr.
    """
    from gateway.importing.openapi.catalogue import Choice

    choice = Choice(include, exclude, _named(prefix, "--prefix"), _named(name, "--name"), base_url)
    return run(partial(_openapi, specification, choice, _target(output, force)))


async def _openapi(specification: str, choice: Choice, target: Path | None) -> int:
    from gateway.importing.openapi.catalogue import imported
    from gateway.importing.source import read_specification

    found = await read_specification(specification)
    result = await trio.to_thread.run_sync(imported, found, choice, abandon_on_cancel=True)
    await _write(result.text, target)
    told = f"{result.tools} {'tool' if result.tools == 1 else 'tools'} imported"
    if result.left_out:
        told += f", {len(result.left_out)} operations left out:"
    lines = [told, *(f"  {one}" for one in result.left_out[:_SHOWN])]
    if len(result.left_out) > _SHOWN:
        lines.append(f"  and {len(result.left_out) - _SHOWN} more; the catalogue ends with all of them")
    _tell(lines)
    return 0


@importing.command
def mcp(
    *server: Annotated[
        str, Parameter(help="An address, or a command and its arguments (behind -- if it has options).")
    ],
    output: Output = None,
    force: Force = False,
    name: UpstreamName = None,
    prefix: Annotated[str | None, Parameter(help="Stands in front of the names of all tools and prompts.")] = None,
    include: Annotated[
        tuple[str, ...], Parameter(negative="", help="Only definitions whose name or URI matches. Can be repeated.")
    ] = ("*",),
    exclude: Annotated[tuple[str, ...], Parameter(negative="", help="...and none of these. Can be repeated.")] = (),
    header: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="NAME=VALUE, sent to an address; may hold ${NAME} or ${credential:NAME}."),
    ] = (),
    env: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="NAME=VALUE, for a command; may hold ${NAME} or ${credential:NAME}."),
    ] = (),
) -> int:
    """Ask an MCP server what it offers, and write it as an upstream that has every definition pinned by its hash.

    A command is started as the gateway would start it, and ended again.
    """
    if not server:
        raise GatewayError("expected an address such as https://example.org/mcp, or a command")
    from gateway.importing.mcp import Server
    from gateway.telemetry.logs import set_up_logging

    set_up_logging("error", "auto")
    prefix, name = _named(prefix, "--prefix"), _named(name, "--name")
    asked = Server(server, name, prefix, _pairs(header, "--header"), _pairs(env, "--env"), include, exclude)
    return run(partial(_mcp, asked, _target(output, force)))


async def _mcp(server: Server, target: Path | None) -> int:
    from gateway.importing.mcp import imported

    text, count = await imported(server, os.environ)
    await _write(text, target)
    _tell([f"{count} {'definition' if count == 1 else 'definitions'} imported"])
    return 0


def _pairs(said: tuple[str, ...], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise GatewayError(f"{option}: expected NAME=VALUE, found {name!r}")
        pairs[name] = value
    return pairs


def _tell(lines: list[str]) -> None:
    sys.stderr.write("gateway: " + "\n".join(lines) + "\n")


async def _write(text: str, target: Path | None) -> None:
    if target is None:
        sys.stdout.write(text)
        return
    try:
        await trio.to_thread.run_sync(write_atomically, target, text.encode())
    except OSError as error:
        raise GatewayError(f"{target}: can't be written: {error.strerror}") from None


def _target(output: Path | None, force: bool) -> Path | None:
    """The file to write; raises GatewayError before any work for one that is there."""
    if output is not None and output.exists() and not force:
        raise GatewayError(f"{output} is there already; --force overwrites it")
    return output


def _named(value: str | None, option: str) -> str | None:
    """A name that a profile can hold; raises GatewayError for another."""
    if value is not None and not _NAME.fullmatch(value):
        raise GatewayError(f'{option}: expected at most 40 letters, digits, "_", "-" and ".", found {value!r}')
    return value
