from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.importing.toml import comment, table

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts.filter(lambda t: "${" not in t),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=12,
)


@given(st.lists(texts, min_size=1, max_size=3), st.dictionaries(texts, values, max_size=5))
def test_what_is_written_is_read(path: list[str], content: dict[str, Any]) -> None:
    """Any names and values come back, whether a member is a table of its own or stands on a line."""
    spread = [key for key, value in content.items() if isinstance(value, dict)][:1]
    at: Any = tomllib.loads(table(path, content, spread=spread))
    for step in path:
        at = at[step]
    assert at == {key: value for key, value in content.items() if key not in spread or value}


@given(st.text(max_size=400))
def test_a_comment_is_a_comment(text: str) -> None:
    """Whatever it says, nothing of it is read."""
    assert tomllib.loads(comment(text, text).encode("utf-8", "replace").decode()) == {}


def test_what_interpolation_would_fill_in() -> None:
    """A text from elsewhere never reads the environment or a credential."""
    assert table(("a",), {"b": "${HOME}"}) == '[a]\nb = "$${HOME}"\n'
