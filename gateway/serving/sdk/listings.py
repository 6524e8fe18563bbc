"""The catalogue's lists as results of MCP: valid in the client's revision, with how long they hold and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
import structlog
from mcp_types import methods
from pydantic import ValidationError

from gateway.catalogue.catalogue import Catalogue
from gateway.errors import ToolError
from gateway.serving.direct.introduction import LISTS

log = structlog.get_logger(__name__)


class Listings:
    """Makes the result of each list once for every state of the catalogue and every revision."""

    def __init__(self, catalogue: Catalogue, list_ttl: float) -> None:
        self._catalogue = catalogue
        self._list_ttl = list_ttl
        self._made: dict[tuple[str, str], tuple[int, list[Mapping[str, Any]]]] = {}

    def result(self, method: str, version: str, params: types.PaginatedRequestParams) -> dict[str, Any]:
        """The whole list, in one page; raises ToolError for a cursor, since there is none."""
        kind, key = LISTS[method]
        if params.cursor is not None:
            raise ToolError(f"Unknown cursor: the list of {kind} has one page")
        listing = self._catalogue.listing(kind)
        return {
            "resultType": "complete",
            key: self._valid(method, version, listing.definitions),
            "ttlMs": int(min(self._list_ttl, listing.holds) * 1000),
            "cacheScope": "private" if listing.private else "public",
        }

    def _valid(self, method: str, version: str, definitions: tuple[Mapping[str, Any], ...]) -> list[Mapping[str, Any]]:
        """Those that the revision can express: one that it can't must not take the others away."""
        state = self._catalogue.federation.version
        made = self._made.get((method, version))
        if made is None or made[0] != state:
            made = state, [each for each in definitions if _fits(method, version, each)]
            self._made[method, version] = made
        return made[1]


def _fits(method: str, version: str, definition: Mapping[str, Any]) -> bool:
    result = {LISTS[method][1]: [definition], "ttlMs": 0, "cacheScope": "public", "resultType": "complete"}
    try:
        methods.serialize_server_result(method, version, result)
    except (ValidationError, KeyError) as error:
        name = definition.get("uri") or definition.get("uriTemplate") or definition["name"]
        log.warning("a definition is left out", list=method, protocol=version, name=name, error=str(error)[:300])
        return False
    return True
