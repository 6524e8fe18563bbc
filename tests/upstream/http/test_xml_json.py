from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.http.xml_json import NotXml, xml_as_json


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        (b"<a/>", {"a": None}),
        (b"<a>text</a>", {"a": "text"}),
        (b'<a x="1">text<b/></a>', {"a": {"@x": "1", "#text": "text", "b": None}}),
        (b"<a><b>1</b><b>2</b><c>3</c></a>", {"a": {"b": ["1", "2"], "c": "3"}}),
        (b'<n:a xmlns:n="urn:x"><n:b>1</n:b></n:a>', {"n:a": {"@xmlns:n": "urn:x", "n:b": "1"}}),
        (b"<a><![CDATA[1 < 2]]> &amp; &#233;</a>", {"a": "1 < 2 & é"}),
        (b"<!DOCTYPE a><a/>", {"a": None}),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode(), {"a": "é"}),
    ],
)
def test_the_mapping(xml: bytes, value: object) -> None:
    """Elements are members, repeated ones arrays, attributes `@name`, text beside them `#text`."""
    assert orjson.loads(xml_as_json(xml)) == value


LAUGHS = b"<!DOCTYPE l [<!ENTITY a 'ha'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(9)
)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (LAUGHS + b"]><l>&j;</l>", "it declares entities, which are not taken"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "it declares entities"),
        (b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x.dtd"> %x;]><a/>', "it declares entities"),
        (b"<a>" * 300 + b"</a>" * 300, "its elements are more than 200 deep"),
        (b"<a>" * 100_000 + b"</a>" * 100_000, "its elements are more than 200 deep"),
        (b"<a>" + b"<b/>" * 500_001 + b"</a>", "it has more than 500000 elements and attributes"),
        (b"<a>&nbsp;</a>", "undefined entity"),
        (b"<a><b></a>", "mismatched tag"),
        (b"", "no element found"),
        (b"{}", "not well-formed"),
        (b"<a>\x00</a>", "not well-formed"),
    ],
    ids=range(11),
)
def test_what_is_refused(xml: bytes, reason: str) -> None:
    """Bombs of entities, of depth and of number, external entities, and what is no XML."""
    with pytest.raises(NotXml) as refused:
        xml_as_json(xml)
    assert reason in str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes(xml: bytes) -> None:
    """JSON, or NotXml."""
    try:
        orjson.loads(xml_as_json(xml))
    except NotXml:
        return


@given(st.text(alphabet="<>/ab='\" &;!-[]?", max_size=80))
def test_anything_like_xml(xml: str) -> None:
    """JSON, or NotXml."""
    try:
        orjson.loads(xml_as_json(xml.encode()))
    except NotXml:
        return
