"""What goes wrong with a request to an MCP server, as the gateway's errors, and answers that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types import methods
from pydantic import ValidationError

from gateway.errors import UpstreamInvalid, UpstreamUnavailable
from gateway.printable import printable
from gateway.profile.units import format_size
from gateway.upstream.mcp.model import REJECTED, UNAVAILABLE, WAIT, Json, UpstreamRefused
from gateway.upstream.policies.retry import AskedToWait

_GONE = (types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT, UNAVAILABLE)


@contextmanager
def translated(name: str, method: str, largest: int) -> Iterator[None]:
    """Turns the SDK's errors about a request into UpstreamError; `largest` is how many bytes an answer may have."""
    try:
        yield
    except MCPError as error:
        if "Server-sent event exceeded" in error.message:
            limit = f"{format_size(largest)} (upstreams.{name}.max_response_size)"
            raise UpstreamInvalid(name, f"the answer is larger than {limit}") from None
        if error.code in _GONE:
            raise _unavailable(name, error) from None
        if error.code == REJECTED:
            raise UpstreamInvalid(name, printable(error.message, 300)) from None
        if error.code == types.PARSE_ERROR and error.message.startswith("Failed to parse"):
            # The SDK's own, in the place of an answer that it could not read.
            raise UpstreamInvalid(name, f"its answer to {method} is no JSON") from None
        message = f"{method} was refused: {printable(error.message, 500)}"
        raise UpstreamRefused(name, message, error.code, error.data) from None
    except (ValidationError, RuntimeError) as error:
        raise UpstreamInvalid(name, f"it does not speak MCP: {printable(str(error), 200)}") from None


def checked(name: str, method: str, version: str, result: Json) -> Json:
    """`result`, which is what the protocol's `version` has for `method`; raises UpstreamInvalid for another."""
    try:
        json.dumps(result, allow_nan=False)
    except ValueError:  # the SDK takes them (RFC 8259, section 6, does not), and to write them would make them null
        raise UpstreamInvalid(name, f"its answer to {method} is no JSON: NaN, or a number that is too large") from None
    ttl = result.get("ttlMs")
    if isinstance(ttl, int | float) and ttl < 0:
        result["ttlMs"] = 0  # as the protocol wants negative ones to be taken (2026-07-28, "Caching")
    try:
        methods.validate_server_result(method, version, result)
    except KeyError:
        return result
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UpstreamInvalid(
            name, f"its answer to {method} is not MCP's: {printable(where)}: {first['msg']}"
        ) from None
    return result


def _unavailable(name: str, error: MCPError) -> UpstreamUnavailable:
    wait = error.data.get(WAIT) if isinstance(error.data, dict) else None
    if isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait < float("inf"):
        return AskedToWait(name, printable(error.message, 300), wait)
    return UpstreamUnavailable(name, printable(error.message, 300))
