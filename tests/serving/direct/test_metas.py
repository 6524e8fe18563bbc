from __future__ import annotations

import tracemalloc

from gateway.serving.direct.metas import Metas
from tests.system.corpus import CLIENT, META


def test_what_is_remembered_of_clients_is_bounded() -> None:
    """Verdicts on the long `_meta` of ever new clients are given, and not kept."""
    metas = Metas()
    tracemalloc.start()
    try:
        for number in range(100):
            assert metas.accepts({**META, CLIENT: {"name": str(number), "version": "x" * 100_000}}, modern=True)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1_000_000
