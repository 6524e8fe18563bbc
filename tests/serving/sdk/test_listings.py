from __future__ import annotations

from pathlib import Path

import mcp_types as types
import pytest
import structlog
import trio

from gateway.errors import ToolError
from gateway.serving.sdk.listings import Listings
from tests.fakes.mcp_modern import ModernServer
from tests.fakes.mcp_rig import gateway_of, tool

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
FIRST = types.PaginatedRequestParams()


async def test_what_a_revision_can_not_express_is_left_out_there(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A tool whose structured content is no object exists from 2026 on only; the others are listed in either era."""
    far = ModernServer([tool("new", outputSchema={"type": "integer"}), tool("old")])
    await nursery.start(far.serve)
    text = f'[upstreams.far]\ntype = "mcp"\nurl = "{far.url}"\nstart_patience = "20s"\n'
    async with gateway_of(tmp_path, text) as gateway:
        listings = Listings(gateway.catalogue, 60.0)
        modern = listings.result("tools/list", "2026-07-28", FIRST)
        assert [each["name"] for each in modern["tools"]] == ["far_new", "far_old"]
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                older = listings.result("tools/list", "2025-11-25", FIRST)
                assert [each["name"] for each in older["tools"]] == ["far_old"]
        assert [(line["event"], line["name"]) for line in logs] == [("a definition is left out", "far_new")]


async def test_one_page(tmp_path: Path) -> None:
    """There is no second one to ask for, and what holds for ever is said to hold as long as the profile says."""
    async with gateway_of(tmp_path, "") as gateway:
        listings = Listings(gateway.catalogue, 60.0)
        empty = {"resultType": "complete", "tools": [], "ttlMs": 60_000, "cacheScope": "public"}
        assert listings.result("tools/list", "2026-07-28", FIRST) == empty
        with pytest.raises(ToolError, match="Unknown cursor: the list of tools has one page"):
            listings.result("tools/list", "2026-07-28", types.PaginatedRequestParams(cursor="x"))
