"""`gateway call`: one call of a tool, from the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import orjson
import trio
from cyclopts import Parameter

from gateway.assembly import Gateway, open_gateway
from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run
from gateway.errors import GatewayError
from gateway.profile.federated import servers
from gateway.profile.loader import Loaded


def call(
    tool: Annotated[str, Parameter(help="The tool's name.")],
    /,
    *arguments: Annotated[str, Parameter(help="NAME=VALUE; what the tool does not declare as a string is JSON.")],
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    text: Annotated[bool, Parameter(negative="", help="Print only the text of the result.")] = False,
) -> int:
    """Call a tool once and print its result as JSON; exit code 1 when the result is an error."""
    return run(partial(_call, load(profile, set_), tool, arguments, text))


async def _call(loaded: Loaded, tool: str, arguments: Sequence[str], text: bool) -> int:
    declared = loaded.profile.tools.get(tool)
    if declared is None and not servers(loaded.profile):  # nothing need be opened to say so
        raise GatewayError(f"no tool {tool!r}; the profile {loaded.name} declares {', '.join(loaded.profile.tools)}")
    if declared is not None:
        given = parse_arguments(arguments, declared.input.get("properties", {}))
    async with open_gateway(loaded.profile, ahead=False) as gateway:
        if declared is None:
            given = parse_arguments(arguments, await _properties(gateway, tool))
        result = await gateway.catalogue.call(tool, given)
    answer = orjson.loads(result.payload)
    if text:
        parts = (part.get("text", f"[{part['type']}]") for part in answer["content"])
        sys.stdout.write("\n".join(parts) + "\n")
    else:
        sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() + "\n")
    return FAILED if result.is_error else 0


async def _properties(gateway: Gateway, tool: str) -> Mapping[str, Any]:
    """What a federated tool takes; its server is waited for where nothing is known of it. Raises GatewayError."""
    catalogue = gateway.catalogue
    if catalogue.input_schema(tool) is None:
        async with trio.open_nursery() as waiting:
            for server in catalogue.federation.servers:
                waiting.start_soon(server.wait_known, server.section.start_timeout)
    schema = catalogue.input_schema(tool)
    if schema is None:
        catalogue.federation.tool(tool)  # it is set aside, perhaps
        names = ", ".join(definition["name"] for definition in catalogue.definitions)
        raise GatewayError(f"no tool {tool!r}; there are {names or 'none'}")
    properties = schema.get("properties", {})
    return properties if isinstance(properties, dict) else {}


def parse_arguments(arguments: Sequence[str], properties: Mapping[str, Any]) -> dict[str, Any]:
    """NAME=VALUE pairs as a tool takes them: strings as they are, anything else as JSON if it is JSON.

    Raises GatewayError for one without `=`, and for a name that is given twice.
    """
    given: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name:
            raise GatewayError(f"expected NAME=VALUE, found {argument!r}")
        if name in given:
            raise GatewayError(f"{name} is given twice")
        given[name] = _value(value, properties.get(name, {}))
    return given


def _value(text: str, schema: Any) -> Any:
    types = schema.get("type", ()) if isinstance(schema, dict) else ()
    if types == "string" or "string" in types:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
