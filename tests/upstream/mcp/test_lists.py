from __future__ import annotations

from pathlib import Path

from tests.fakes.mcp_rig import Child, content, gateway_of, names, tool, upstream

TOOLS = [tool(f"t{number}") for number in range(5)]


async def test_a_list_in_pages(tmp_path: Path) -> None:
    """All pages are read, in their order."""
    child = Child(tmp_path / "far")
    child.lists(*TOOLS, page_size=2)
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        assert names(gateway) == [f"far_t{number}" for number in range(5)]
        assert child.seen.count("tools/list") == 3
        assert content(await gateway.catalogue.call("far_t4", {})) == "t4 {}"


async def test_no_more_pages_than_are_taken_over(tmp_path: Path) -> None:
    """What would be dropped is not asked for."""
    child = Child(tmp_path / "far")
    child.lists(*TOOLS, page_size=2)
    async with gateway_of(tmp_path, upstream(child, more="max_definitions = 3")) as gateway:
        assert names(gateway) == ["far_t0", "far_t1", "far_t2"]
        assert child.seen.count("tools/list") == 2


async def test_a_list_that_never_ends(tmp_path: Path) -> None:
    """Pages with nothing in them are not followed for ever."""
    child = Child(tmp_path / "far")
    child.lists(*TOOLS, page_size=0)
    patient = 'start_patience = "60s"\nstart_timeout = "60s"'
    async with gateway_of(tmp_path, upstream(child, more=patient)) as gateway:
        assert names(gateway) == []
        assert child.seen.count("tools/list") == 1000
