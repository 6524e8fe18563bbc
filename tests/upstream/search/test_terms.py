from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.search.terms import indexed, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I disable a Button?", "how do i disable a button"),
        ("按钮组件，用于触发操作。", "按钮 钮组 组件 件 用于 于触 触发 发操 操作 作"),
        ("button 按钮", "button 按钮 钮"),
        ("Button按钮3", "button 按钮 钮 3"),
        ("autoLoading XMLHttpRequest2", "autoloading auto loading xmlhttprequest2 xml http request2"),
        ("vue3 H2O 3.x", "vue3 h2o h2 o 3 x"),
        ("auto-loading var_button", "auto loading var button"),
        ("ＦＵＬＬ ｗｉｄｔｈ", "full width"),
        ("Straße", "strasse"),
        ("한국어 にほんご", "한국 국어 어 にほ ほん んご ご"),
        ("", ""),
        ("— … 🙂", ""),
    ],
)
def test_terms(text: str, expected: str) -> None:
    """Words as they are compared; runs of characters without spaces as pairs; names with their parts."""
    assert indexed(text) == expected


@given(st.text(max_size=60))
def test_each_term_is_where_it_says(text: str) -> None:
    """And is made of letters and digits only, so that nothing in a term can be syntax to FTS5."""
    before = 0
    for term in terms(text):
        assert before <= term.start < term.end <= len(text)
        before = term.start
        assert term.paired or term.text.isalnum()
        assert not set(term.text) & set(' "*')


def test_long_words_are_cut() -> None:
    """Hashes and data are no words."""
    assert len(indexed("x" * 10_000)) == 64
