from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamInvalid
from gateway.upstream.charsets import CHARSETS
from gateway.upstream.content import checked_body, media_type_of, parse_content_type


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ("application/json", ("application/json", "")),
        ("Application/JSON; charset=UTF-8", ("application/json", "UTF-8")),
        ('text/html; Charset="iso-8859-1"; x=y', ("text/html", "iso-8859-1")),
        ("text/plain;charset = koi8-r", ("text/plain", "koi8-r")),
        ("", ("", "")),
        ("nonsense", ("", "")),
        ("a/b/c", ("", "")),
        ("text/html; charset=\0", ("text/html", "\0")),
        ("text/html; charset='x y'", ("text/html", "'x y'")),
    ],
)
def test_content_types(header: str, parsed: tuple[str, str]) -> None:
    """RFC 9110, section 8.3; what is no media type is none."""
    assert parse_content_type(header) == parsed


@pytest.mark.parametrize(
    ("body", "charset", "kept"),
    [
        ("é".encode(), "", "é"),
        (codecs.BOM_UTF8 + "é".encode(), "", "é"),
        (codecs.BOM_UTF8 + "é".encode(), "UTF8", "é"),
        ("é".encode("latin-1"), "iso-8859-1", "é"),
        ("€".encode("cp1252"), "windows-1252", "€"),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本"),
        ("é".encode("utf-16"), "utf-16", "é"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), "utf-16le", "é"),
    ],
)
def test_text_becomes_utf8_without_a_mark(body: bytes, charset: str, kept: str) -> None:
    """Decoded by the charset that was declared, or as UTF-8."""
    assert checked_body("api", "the answer", body, "text/plain", charset) == kept.encode()


@pytest.mark.parametrize(
    "charset", ["rot13", "unicode_escape", "punycode", "idna", "zlib", "utf-7", "x-made-up", "a" * 500]
)
def test_unknown_charsets(charset: str) -> None:
    """Codecs that are no charsets of the web are as unknown as those that do not exist."""
    with pytest.raises(UpstreamInvalid, match=r"^api: the answer is in the unknown charset '"):
        checked_body("api", "the answer", b"abc", "text/plain", charset)


def test_every_charset_is_one() -> None:
    """The list holds the names that Python itself uses."""
    assert {codecs.lookup(name).name for name in CHARSETS} == CHARSETS


def test_text_that_is_not_what_it_says() -> None:
    """The sentence says where and why."""
    with pytest.raises(UpstreamInvalid) as raised:
        checked_body("api", "the answer", b"ab\xff", "text/markdown")
    assert str(raised.value) == "api: the answer is not the utf-8 text that it said it was: byte 2: invalid start byte"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<!doctype html>", "unexpected character"),
        (b"", "empty document"),
        (b'{"a": 1', "unexpected end"),
        (b'{"a": NaN}', "unexpected character"),
        (b'{"a": 1e999}', "infinity"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * 100_000 + b"]" * 100_000, "depth limit"),
        (b"{} {}", "unexpected content"),
    ],
)
@pytest.mark.parametrize("media_type", ["application/json", "application/problem+json"])
def test_json_that_is_none(body: bytes, reason: str, media_type: str) -> None:
    """Also NaN, numbers beyond a double, lone surrogates and a bomb of brackets."""
    with pytest.raises(UpstreamInvalid) as raised:
        checked_body("api", "the answer", body, media_type)
    assert str(raised.value).startswith("api: the answer said it was JSON but is not: ")
    assert reason in str(raised.value)


@given(st.binary(max_size=200), st.text(max_size=60))
def test_any_body_and_any_header(body: bytes, header: str) -> None:
    """Whatever comes: UTF-8 for a text type, the bytes themselves for another, or UpstreamInvalid."""
    media_type, charset = parse_content_type(header)
    try:
        kept = checked_body("api", "the answer", body, media_type, charset)
    except UpstreamInvalid:
        return
    assert kept == body or kept.decode() is not None


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("highlight/web-types.en-US.json", "application/json"),
        ("README.md", "text/markdown"),
        ("types/index.d.ts", "text/plain"),
        ("LICENSE", "text/plain"),
        ("es/button/style/index.css", "text/css"),
        ("logo.PNG", "application/octet-stream"),
    ],
)
def test_media_types_by_suffix(path: str, media_type: str) -> None:
    """Files of a package have no Content-Type."""
    assert media_type_of(path) == media_type
