from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamRejected
from gateway.upstream.address import BaseAddress

BASE = BaseAddress("api", "https://example.org:8443/gh/team/project@{version}")


@pytest.mark.parametrize(
    ("path", "version", "target"),
    [
        ("docs/button.md", "3.20.6", "/gh/team/project@3.20.6/docs/button.md"),
        ("/docs/button.md", "3.20.6", "/gh/team/project@3.20.6/docs/button.md"),
        ("", "3.20.6", "/gh/team/project@3.20.6"),
        ("docs/", "1.0.0", "/gh/team/project@1.0.0/docs/"),
        ("a%2Fb%20c%3Fd%23e", "1.0.0", "/gh/team/project@1.0.0/a%2Fb%20c%3Fd%23e"),
        ("x", "1.0.0+build", "/gh/team/project@1.0.0%2Bbuild/x"),
        ("x", "../../evil", "/gh/team/project@..%2F..%2Fevil/x"),
        ("x", "a?b#c d\r\n", "/gh/team/project@a%3Fb%23c%20d%0D%0A/x"),
        ("~user/!$&'()*+,;=:@", "1.0.0", "/gh/team/project@1.0.0/~user/!$&'()*+,;=:@"),
    ],
)
def test_paths_and_versions(path: str, version: str, target: str) -> None:
    """A path is joined as it is; a version is one part of one segment, whatever is in it."""
    if "evil" in version or "\r" in version:
        with pytest.raises(UpstreamRejected):
            BASE.join(path, version)
        return
    url = BASE.join(path, version)
    assert (url.scheme, url.host, url.port, url.raw_path.decode()) == ("https", "example.org", 8443, target)


@pytest.mark.parametrize(
    "path",
    [
        "../admin", "a/../../admin", "a/..", ".", "./a", "a/./b", "%2e%2e/admin", "%2E%2e/x", ".%2e/x", "a/%2e",
        "%252e%252e/admin", "..%2fadmin", "a%2f..%2f..%2fb", "..;/admin", "..;x=1/admin",
        "//other.example/x", "a//b", "///x", "http://other.example/x/../..",
        "a\\b", "..\\admin", "%5c..%5cadmin", "a%5Cb", "a b", "a\tb", "a\r\nX: y", "a%0d%0aX:%20y", "a%00", "a\0",
        "a?b=c", "a#b", "é", "a%zz", "a%", "{version}", "\ud800",
    ],
)  # fmt: skip
def test_paths_that_could_lead_elsewhere(path: str) -> None:
    """Climbing, hosts, encodings of both, and whatever is not encoded: refused, on one printable line."""
    with pytest.raises(UpstreamRejected) as refused:
        BASE.join(path, "1.0.0")
    assert str(refused.value).isprintable()
    assert str(refused.value).startswith("api: the path ")
    assert str(refused.value).endswith(" could lead elsewhere and is not sent")


@given(st.text(max_size=200))
def test_no_path_leaves_the_folder(path: str) -> None:
    """Whatever the path: it is refused, or it is sent to the host, below the folder, unchanged."""
    try:
        url = BASE.join(path, "1.0.0")
    except UpstreamRejected:
        return
    target = url.raw_path.decode()
    assert (url.scheme, url.raw_host, url.port, url.userinfo) == ("https", b"example.org", 8443, b"")
    assert target in ("/gh/team/project@1.0.0", "/gh/team/project@1.0.0/" + path.removeprefix("/"))
    assert {".", ".."}.isdisjoint(unquote(target).split("/"))


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_a_query_value_stays_one_value(query: list[tuple[str, str]]) -> None:
    """`x&admin=1` and `x#y` are values like any other."""
    url = BASE.join("search", "1.0.0", query)
    assert parse_qsl(url.query.decode(), keep_blank_values=True) == query
    expected = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    assert url.query.decode() == expected


def test_what_a_base_address_may_name() -> None:
    """`{version}` needs one, and nothing else can be filled in."""
    with pytest.raises(UpstreamRejected, match=r"^api: base_url has a \{version\}, but the fetch names none$"):
        BASE.join("x")
    with pytest.raises(UpstreamRejected, match=r"^api: only \{version\} can stand in base_url, not \{name\}$"):
        BaseAddress("api", "https://example.org/{name}").join("x", "1.0.0")
    with pytest.raises(UpstreamRejected, match=r"can't be sent as it is"):
        BASE.join("x", "1.0.0", [("q", "\ud800")])


def test_addresses_without_a_path() -> None:
    """A base without a path, and one that is no template."""
    assert str(BaseAddress("api", "https://example.org").join("a")) == "https://example.org/a"
    assert str(BaseAddress("api", "https://example.org").join("")) == "https://example.org/"
    assert str(BaseAddress("api", "http://[::1]:8080/x").join("a")) == "http://[::1]:8080/x/a"
    assert BaseAddress.plain("api", "https://example.org/{a}").join("b").raw_path == b"/%7Ba%7D/b"
