from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.pages import NEXT_CURSOR
from gateway.catalogue.result import PROVENANCE, Form
from gateway.pipeline.model import Entry
from gateway.profile.serving import Server
from gateway.serving.direct.forms import form_of
from gateway.serving.direct.wire import Wire
from gateway.serving.protocol import SERVER_INFO

WIRE = Wire(Server(title="é"), escaping=True)

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def entry(payload: bytes, fresh_until: float = 1100.0) -> Entry:
    return Entry(payload, 1000.0, fresh_until, tags=('a:"content":', "b:é"))


def answered(payload: bytes, *, modern: bool, fresh_until: float = 1100.0, following: str | None = None) -> bytes:
    """The whole answer by the form."""
    form = form_of(WIRE, entry(payload, fresh_until), payload, following, fresh_until, modern=modern)
    return b"".join((form.beginning(b"7", 1012.3456), *form.end.pieces))


def expected(payload: bytes, *, modern: bool, expires: float | None = 87.654, following: str | None = None) -> bytes:
    """The whole answer by the SDK's models."""
    about: dict[str, Any] = {"status": "hit", "tier": "memory", "age": 12.346, "expires": expires}
    meta = {PROVENANCE: {**about, "tags": ['a:"content":', "b:é"]}}
    if following is not None:
        meta[NEXT_CURSOR] = following  # type: ignore[assignment]  # a text beside an object
    return WIRE.called(7, {**json.loads(payload), "_meta": meta}, modern=modern)


@given(values, st.sampled_from(["json", "text"]), st.booleans())
def test_any_answer_is_as_the_sdk_writes_it(value: Any, kind: Any, modern: bool) -> None:  # by Hypothesis
    """Byte for byte, whatever a tool answers."""
    payload = Form(kind).render(value)
    assert answered(payload, modern=modern) == expected(payload, modern=modern)


@pytest.mark.parametrize("modern", [False, True])
def test_an_answer_that_lasts_and_one_that_goes_on(*, modern: bool) -> None:
    """What never expires says so, and a part tells the cursor of the next one."""
    payload = Form("json").render({"a": 1})
    lasting = answered(payload, modern=modern, fresh_until=float("inf"))
    assert lasting == expected(payload, modern=modern, expires=None)
    part = answered(payload, modern=modern, following="next")
    assert part == expected(payload, modern=modern, following="next")


@pytest.mark.parametrize("modern", [False, True])
def test_it_shares_the_memory_of_the_payload(*, modern: bool) -> None:
    """A form of an answer in ASCII takes little beside it; one that has to be escaped has bytes of its own."""
    plain, accented = (Form("json").render({"a": letter * 10_000}) for letter in "aé")
    shared = form_of(WIRE, entry(plain), plain, None, 1100.0, modern=modern)
    assert shared.size < 2_000
    own = form_of(WIRE, entry(accented), accented, None, 1100.0, modern=modern)
    assert (own.size > 20_000) is modern


def test_the_server_introduces_itself_in_the_modern_era_only() -> None:
    """As the SDK stamps it."""
    payload = Form("json").render({})
    assert SERVER_INFO.encode() in answered(payload, modern=True)
    assert SERVER_INFO.encode() not in answered(payload, modern=False)


@pytest.mark.parametrize("modern", [False, True])
def test_a_part_of_a_long_answer_is_nobodys_but_the_forms(*, modern: bool) -> None:
    """So it counts as its own."""
    part = Form("json").render({"a": "x" * 50_000})
    form = form_of(WIRE, entry(b"the whole"), part, "cursor", 1100.0, modern=modern)
    assert form.size > 50_000
