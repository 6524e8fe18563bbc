"""Modules that are imported when they are first needed, for real."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.serving.late import imported


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "needed_late"
    (tmp_path / f"{name}.py").write_text("HELD = [[] for _ in range(1000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    gc.unfreeze()


async def test_only_what_is_new_is_kept_out_of_the_search_for_garbage(module: str) -> None:
    """Each reload asks for the same modules again: what the one before left behind must stay where it is looked for."""
    before = gc.get_freeze_count()
    first = await imported(module)
    frozen = gc.get_freeze_count()
    assert frozen >= before + 1000
    left: list[list[int]] = [[] for _ in range(1000)]
    assert await imported(module) is first
    assert gc.get_freeze_count() <= frozen
    assert len(left) == 1000


async def test_what_cannot_be_imported_says_so(module: str) -> None:
    """As `import` does; the next who asks tries again."""
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{module}_not'"):
            await imported(f"{module}_not")
