from __future__ import annotations

import pytest

from gateway.catalogue.select import Selection
from gateway.errors import UpstreamInvalid


def test_selects() -> None:
    """What the expression finds, with the arguments at hand."""
    selection = Selection("k", "tags[?name == arg('name')] | [0].value")
    assert selection.of({"tags": [{"name": "a", "value": 1}, {"name": "b", "value": 2}]}, {"name": "b"}) == 2
    assert selection.of({"tags": []}, {"name": "b"}) is None


@pytest.mark.parametrize(
    ("expression", "document"),
    [("kebab(@)", 1), ("length(@)", 1), ("join('-', @)", [1]), ("sort_by(@, &a)", [{"a": 1}, {"a": "x"}])],
)
def test_another_document_than_expected(expression: str, document: object) -> None:
    """A document of another shape is the upstream's fault, said with the profile's key on one line."""
    with pytest.raises(
        UpstreamInvalid, match=r"^tools\.t\.result\.select: the document is not what the expression expects: "
    ) as caught:
        Selection("tools.t.result.select", expression).of(document, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expression", ["@[::0]", "nope(@)", "kebab(@, @)"])
def test_a_wrong_expression(expression: str) -> None:
    """An expression that compiles and can't be evaluated is an error with its key, not a crash."""
    with pytest.raises(UpstreamInvalid, match=r"^tools\.t\.result\.select: "):
        Selection("tools.t.result.select", expression).of([1], {})
