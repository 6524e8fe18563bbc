from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamInvalid, UpstreamRejected
from gateway.upstream.http.links import next_link, same_origin


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ('<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last"', "https://a/?page=2"),
        ('<https://a/?page=1>; rel="prev", </p?x=a,b;c>; rel=next', "/p?x=a,b;c"),
        ('<x>; title="a, b; rel=next", <y>; REL="last NEXT"', "y"),
        ('<x>; title="a \\" >; rel=next"; rel="next"', "x"),
        ("<x>; rel=next; rel=prev", "x"),
        ("<x>; rel=prev; rel=next", None),
        ('<x>; rel="next"; anchor="#other"', None),
        ("<x>;rel=prefetch", None),
        ("x; rel=next", None),
        ('<x>; rel="next', None),
        ("", None),
    ],
)
def test_next(value: str, target: str | None) -> None:
    """RFC 8288: quotes, several relations, and the first of a repeated parameter."""
    assert next_link([value]) == target


def test_several_headers() -> None:
    """They are one list."""
    assert next_link(["<x>; rel=prev", "<y>; rel=next"]) == "y"


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "value", ["<x>" * 30_000, "<x>;" * 30_000, '<x>; a="' + "\\" * 60_000, "<x>" + "; a" * 30_000 + "\0"]
)
def test_no_header_takes_long(value: str) -> None:
    """What can't be read is given up without trying every way to read it."""
    assert next_link([value]) is None


@given(st.text(max_size=100))
def test_any_header(value: str) -> None:
    """Nothing is raised."""
    next_link([value])


HERE = httpx2.URL("https://api.example.org/v1/users?page=1")


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("?page=2", "https://api.example.org/v1/users?page=2"),
        ("/v2/users?page=2#x", "https://api.example.org/v2/users?page=2"),
        ("https://api.example.org:443/x", "https://api.example.org/x"),
        ("HTTPS://API.EXAMPLE.ORG/x", "https://api.example.org/x"),
    ],
)
def test_the_same_origin(target: str, url: str) -> None:
    """Relative addresses, other folders and other spellings of the same origin are followed."""
    assert str(same_origin("api", HERE, target)) == url


@pytest.mark.parametrize(
    "target",
    [
        "https://other.example/x",
        "//other.example/x",
        "http://api.example.org/x",
        "https://api.example.org:8443/x",
        "https://user:password@api.example.org/x",
        "https://api.example.org@other.example/x",
        "https://api.example.org.other.example/x",
        "file:///etc/passwd",
        "javascript:x",
    ],
)
def test_another_origin(target: str) -> None:
    """Nothing is sent to where only an answer says so."""
    with pytest.raises(UpstreamRejected, match=r"^api: its next page is elsewhere, at ") as refused:
        same_origin("api", HERE, target)
    assert "password" not in str(refused.value)


@pytest.mark.parametrize("target", ["https://[::1/x", "https://a:b:c/", "/x\n", "https://a" + "b" * 70_000])
def test_no_address(target: str) -> None:
    """The sentence shows it, cut."""
    with pytest.raises((UpstreamInvalid, UpstreamRejected)) as refused:
        same_origin("api", HERE, target)
    assert len(str(refused.value)) < 500
