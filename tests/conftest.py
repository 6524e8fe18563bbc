from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what takes minutes first: the other workers do the rest meanwhile, and nobody waits for it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
