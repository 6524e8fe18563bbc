from __future__ import annotations

import pytest

from gateway.errors import UpstreamRejected
from gateway.upstream.headers import RESERVED, checked_headers


def test_later_headers_take_the_place_of_earlier_ones() -> None:
    """Names are compared without case; values are UTF-8 without surrounding blanks."""
    headers = [("Accept", "text/html"), ("X-Name", " é\t"), ("accept", "application/json")]
    assert checked_headers("api", headers) == [(b"accept", b"application/json"), (b"X-Name", "é".encode())]


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\0b", "canary\x1b", "a\x7f"])
def test_values_with_control_characters_are_refused(value: str) -> None:
    """Before the HTTP client sees them; the sentence does not quote the value."""
    with pytest.raises(UpstreamRejected) as refused:
        checked_headers("api", [("X-Name", value)])
    assert str(refused.value) == "api: the value of the header X-Name has a line break or a control character"


def test_a_value_that_is_no_text_is_refused() -> None:
    """A lone surrogate can't be encoded."""
    with pytest.raises(UpstreamRejected, match=r"^api: the value of the header X-Name is not valid Unicode$"):
        checked_headers("api", [("X-Name", "\ud800")])


@pytest.mark.parametrize("name", ["", "a b", "a:b", "X\r\nY", "é", "a\0"])
def test_names_are_tokens(name: str) -> None:
    """RFC 9110, section 5.6.2."""
    with pytest.raises(UpstreamRejected, match=r"is not the name of a header$"):
        checked_headers("api", [(name, "x")])


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Host", "HOST"])
def test_reserved_names_are_the_gateways_own(name: str) -> None:
    """They would frame the message or send it elsewhere."""
    with pytest.raises(UpstreamRejected, match=f"^api: the header {name} is the gateway's own and can't be set$"):
        checked_headers("api", [(name, "x")])
    assert checked_headers("api", [], [(name, "x")]) == [(name.encode(), b"x")]
