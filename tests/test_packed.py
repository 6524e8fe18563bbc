from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.catalogue.jsontext import to_json
from gateway.packed import packed_json

VALUE = {"text": "x" * 2000}


@pytest.mark.parametrize("write", [packed_json, to_json])
def test_what_is_kept_takes_what_it_has(write: Callable[[Any], bytes]) -> None:
    """A cache that counts bytes counts what is there."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [write(VALUE) for _ in range(100)]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 1.1 * sum(map(len, kept)) + 5000


def test_it_is_the_same_text() -> None:
    """And the same refusal of what JSON can't hold."""
    assert packed_json(VALUE) == orjson.dumps(VALUE)
    with pytest.raises(TypeError):
        packed_json({1, 2})
