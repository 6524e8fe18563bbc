from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamInvalid
from gateway.upstream.charsets import NoCharset, codec_of, decode
from gateway.upstream.content import checked_body


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("latin1", b"\x93x\x94 \x81", "\u201cx\u201d \x81"),
        ("iso-8859-1", "é".encode("latin-1"), "é"),
        ("x-sjis", "日本".encode("cp932"), "日本"),
        ("gb2312", "简体".encode("gbk"), "简体"),
        ("unicode-1-1-utf-8", "é".encode(), "é"),
        ("csbig5", "繁".encode("big5"), "繁"),
        ("x-cp1251", "ж".encode("cp1251"), "ж"),
        ("utf-16", "é".encode("utf-16-le"), "é"),
    ],
)
def test_labels_of_the_web(label: str, body: bytes, text: str) -> None:
    """They mean what browsers take them for: latin1 is windows-1252, and its gaps are control characters."""
    assert decode(body, codec_of(body, label, "text/plain")) == text


@pytest.mark.parametrize("label", ["replacement", "hz-gb-2312", "x-user-defined", "utf-7", "rot13", "idna", "\ud800"])
def test_labels_that_are_refused(label: str) -> None:
    """Also those that the web knows, and knows to be unsafe."""
    with pytest.raises(NoCharset):
        codec_of(b"x", label, "text/plain")


@pytest.mark.parametrize(
    ("mark", "codec"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_a_byte_order_mark_comes_first(mark: bytes, codec: str) -> None:
    """It wins over what was declared, and is no part of the text."""
    body = mark + "é".encode(codec)
    assert checked_body("api", "it", body, "text/plain", "latin1") == "é".encode()


@pytest.mark.parametrize(
    ("media_type", "body", "text"),
    [
        ("application/xml", b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>', "é"),
        ("application/atom+xml", b"<?xml version='1.0' encoding='windows-1251'?><a>\xe6</a>", "ж"),
        ("text/html", b"<!doctype html><meta charset=shift_jis><p>" + "日".encode("cp932"), "日"),
        (
            "text/html",
            b'<META http-equiv="Content-Type" content="text/html; charset=koi8-r">' + "ж".encode("koi8-r"),
            "ж",
        ),
        ("text/html", b'<meta charset="utf-16">\xc3\xa9', "é"),
        ("text/html", b"<p>\xe9", "é"),
        ("text/html", "<p>é".encode(), "é"),
    ],
)
def test_what_a_document_says_of_itself(media_type: str, body: bytes, text: str) -> None:
    """XML's declaration and HTML's meta; a page that says nothing and is no UTF-8 is windows-1252."""
    assert text in checked_body("api", "it", body, media_type).decode()


def test_what_was_declared_wins_over_the_document() -> None:
    """The header is the word of who served it."""
    body = b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xc3\xa9</a>'
    assert "é" in checked_body("api", "it", body, "application/xml", "utf-8").decode()


def test_a_text_that_says_nothing_is_utf8() -> None:
    """Outside of pages nothing is guessed."""
    with pytest.raises(UpstreamInvalid, match="is not the utf-8 text that it said it was: byte 0"):
        checked_body("api", "it", b"\xe9", "text/plain")


@given(st.binary(max_size=100), st.text(max_size=20), st.sampled_from(["text/html", "application/xml", "text/plain"]))
def test_any_body_and_label(body: bytes, label: str, media_type: str) -> None:
    """Whatever comes: UTF-8, or UpstreamInvalid."""
    try:
        kept = checked_body("api", "it", body, media_type, label)
    except UpstreamInvalid:
        return
    kept.decode()
