"""What the suite brings along: a profile of its own, documents to answer with, and a gateway in this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.catalogue.result import CallResult
from gateway.errors import GatewayError
from gateway.profile.loader import load_profile

BATCH = 16
"""Calls whose documents are asked for in one request."""

_PROFILE = """
[logging]
level = "error"

[server]
bind = ["127.0.0.1:0"]
[admin]
bind = ["127.0.0.1:0"]

[cache.disk]
path = "{folder}/cache.db"

[strategies.kept]
ttl = "1h"

[upstreams.folder]
type = "files"
root = "{folder}/documents"

[upstreams.loopback]
type = "http"
base_url = "{url}"
private_addresses = true
rate_limit = {{ max = 1_000_000, window = "1s" }}
batch = {{ parameter = "ids", separator = ",", window = "1s", max = {batch}, items = "items", key = "name" }}

[tools.read_file]
description = "The required members of a component, out of a file."
strategy = "kept"
tags = ["component:{{name}}"]
[tools.read_file.input]
required = ["name"]
[tools.read_file.input.properties]
name = {{ type = "string", maxLength = 100, description = "the name of a component" }}
limit = {{ type = "integer", minimum = 1, maximum = 100, default = 20 }}
[tools.read_file.normalize]
name = "lower(name)"
[tools.read_file.fetch]
upstream = "folder"
path = "{{name}}.json"
[tools.read_file.result]
select = "{select}"

[tools.read_page]
description = "The required members of a component, out of an answer over HTTP."
strategy = "kept"
input.required = ["name"]
input.properties.name = {{ type = "string" }}
fetch = {{ upstream = "loopback", path = "components/{{name}}" }}
result.select = "{select}"

[tools.read_one_of_many]
description = "The required members of a component, asked for together with others."
strategy = "kept"
input.required = ["name"]
input.properties.name = {{ type = "string" }}
fetch = {{ upstream = "loopback", path = "components", batch_key = "{{name}}" }}
result.select = "{select}"
"""

SELECT = "members[?required].{name: name, type: type, text: description} | [:20]"

_NOWHERE = "http://127.0.0.1:9"
"""Stands for the upstream where it is not asked."""


def document(name: str) -> dict[str, Any]:
    """A component of thirty members, one in three of them required: some 5 kB as JSON."""
    members = [
        {
            "name": f"{name}-member-{number}",
            "type": ("string", "number", "boolean | undefined")[number % 3],
            "required": number % 3 == 0,
            "default": None if number % 3 == 0 else str(number),
            "description": f"Member {number} of the component {name}, which says how its part {number * 7} looks.",
        }
        for number in range(30)
    ]
    return {"name": name, "members": members}


async def write_profile(folder: Path, url: str = _NOWHERE) -> Path:
    """The suite's own profile as a file in `folder`, with the documents that it reads; `url` is the upstream's."""
    documents = trio.Path(folder) / "documents"
    await documents.mkdir(parents=True)
    await (documents / "button.json").write_bytes(orjson.dumps(document("button")))
    path = trio.Path(folder) / "bench.toml"
    filled = _PROFILE.format(folder=_quoted(folder), url=url, batch=BATCH, select=SELECT)
    await path.write_text(filled, encoding="utf-8")
    return Path(path)


@asynccontextmanager
async def open_own_gateway(folder: Path, url: str = _NOWHERE) -> AsyncIterator[Gateway]:
    """A gateway of the suite's own profile in this process, with both tiers; it does nothing that nobody asks for."""
    path = await write_profile(folder, url)
    async with open_gateway(load_profile(str(path), environ={}).profile, {}, ahead=False) as gateway:
        yield gateway


async def called(gateway: Gateway, tool: str, name: str) -> CallResult:
    """The result of a call. Raises GatewayError where it is an error, since a refusal takes no time."""
    result = await gateway.catalogue.call(tool, {"name": name})
    if result.is_error:
        raise GatewayError(f"expected an answer of {tool}, found {result.payload[:300].decode(errors='replace')}")
    return result


def own_environment() -> Mapping[str, str]:
    """The environment for a process of the suite: this one's, without what would change the profile."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def _quoted(folder: Path) -> str:
    """A path as it stands in a TOML string, in which `${` would be a variable."""
    return orjson.dumps(str(folder)).decode()[1:-1].replace("${", "$${")
