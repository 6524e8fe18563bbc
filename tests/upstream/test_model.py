from __future__ import annotations

import itertools

from gateway.upstream.model import Wanted


def test_different_documents_have_different_names() -> None:
    """Also where a path, a query or a header is spelled like another document's release, query or header."""
    documents = [
        Wanted("", listing=True),
        Wanted("releases"),
        Wanted(""),
        Wanted("a"),
        Wanted("a", "1.0.0"),
        Wanted("a@1.0.0"),
        Wanted("a", query=(("q", "1"),)),
        Wanted("a", query=(("q", "2"),)),
        Wanted("a", query=(("q", "1&r=2"),)),
        Wanted("a", query=(("q", "1"), ("r", "2"))),
        Wanted("a", headers=(("q", "1"),)),
        Wanted("a", headers=(("q", "1 r: 2"),)),
        Wanted("a", headers=(("q", "1"), ("r", "2"))),
        Wanted("a", "1.0.0", headers=(("q", "1"),)),
        Wanted("a" * 256),
        Wanted("a" * 600),
        Wanted("a" * 601),
        Wanted("a" * 600, "1.0.0"),
        Wanted("a" * 600, query=(("q", "1"),)),
        Wanted("a", "1" * 600),
        Wanted("a", "1" * 601),
    ]
    for one, other in itertools.combinations(documents, 2):
        assert str(one) != str(other)


def test_equal_documents_have_one_name() -> None:
    """The name is the same in the next process, which finds the document on disk by it."""
    assert str(Wanted("a/b.md", "1.0.0")) == "a/b.md#1.0.0"
    wanted = Wanted("a", "1.0.0", (("q", "ü"),), (("x", "y"),))
    assert str(wanted) == "a#1.0.0?65bdb93b41aae0c9b193038d87301404"


def test_a_long_path_makes_no_long_name() -> None:
    """Agents choose parts of paths and releases: the name is bounded, and keeps a beginning that a glob can select."""
    for wanted in (Wanted("docs/" + "a" * 100_000), Wanted("docs/x", "1" * 100_000)):
        assert len(str(wanted)) < 600
        assert str(wanted).startswith("docs/")


def test_a_credential_is_in_no_name() -> None:
    """Names are logged and kept on disk; a query or a header of the profile may hold a credential."""
    wanted = Wanted("a", None, (("api_key", "canary"),), (("Authorization", "Bearer canary"),))
    assert "canary" not in str(wanted)
