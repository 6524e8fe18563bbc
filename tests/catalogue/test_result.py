from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.result import provenance, render, render_error, with_meta
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Answer, Policy, Status

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)


def test_structured_content_and_its_text() -> None:
    """An object is structured content, and its text is the same JSON."""
    result = orjson.loads(render({"a": "ö"}, "json"))
    assert result["structuredContent"] == {"a": "ö"}
    assert result["content"] == [{"type": "text", "text": '{"a":"ö"}'}]


@pytest.mark.parametrize("value", [[1], "x", 1, True, 0, ""])
def test_structured_content_is_an_object(value: Any) -> None:
    """Anything but an object stands in one."""
    assert orjson.loads(render(value, "json"))["structuredContent"] == {"result": value}


def test_text() -> None:
    """Text is text alone; what is no text is not lost."""
    assert orjson.loads(render("# A\n", "text")) == {"content": [{"type": "text", "text": "# A\n"}]}
    assert orjson.loads(render({"a": 1}, "text"))["structuredContent"] == {"a": 1}


def test_a_number_beyond_64_bits() -> None:
    """A large integer is rendered as the number that it is."""
    assert str(2**70).encode() in render({"n": 2**70}, "json")


def test_error() -> None:
    """A failure is one text, also when it quotes what is no text."""
    assert orjson.loads(render_error("no \ud800!")) == {"content": [{"type": "text", "text": "no ?!"}], "isError": True}


@given(values, st.dictionaries(texts, values, max_size=3))
def test_splice(value: Any, meta: dict[str, Any]) -> None:
    """A payload with `_meta` is what it was, and `_meta`."""
    payload = render(value, "json")
    assert orjson.loads(with_meta(payload, meta)) == {**orjson.loads(payload), "_meta": meta}


def test_provenance() -> None:
    """Age counts from the oldest source, expiry from now; neither says more than a millisecond."""
    entry = new_entry(b"", Policy("s", ttl=60), 1000.0, tags=("t",))
    about = provenance(Answer(entry, Status.HIT, "memory"), 1010.00049)
    assert about == {"status": "hit", "tier": "memory", "age": 10.0, "expires": 50.0, "tags": ("t",)}
    stale = provenance(Answer(entry, Status.STALE, "disk"), 1070.0)
    assert stale == {"status": "stale", "tier": "disk", "age": 70.0, "expires": -10.0, "tags": ("t",)}


def test_an_entry_of_a_moment_from_now() -> None:
    """No age is negative."""
    assert provenance(Answer(new_entry(b"", Policy("s", ttl=60), 1001.0), Status.HIT, "memory"), 1000.0)["age"] == 0
