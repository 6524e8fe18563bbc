from __future__ import annotations

from pathlib import Path

import pytest

from tests.profile.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of profiles."""
    return Folder(tmp_path)
