from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.faults import Finding
from gateway.profile.interpolation import escape, interpolate
from gateway.profile.positions import KeyPath
from gateway.profile.tree import Node, Origin, grow, lookup, plain
from tests.unprivileged import unprivileged

ENVIRON = {"HOST": "example.org", "EMPTY": "", "NESTED": "${HOST}"}


def tree(value: Any) -> Node:
    return grow(value, lambda path: Origin("test"))


def filled(text: str, environ: dict[str, str] | None = None) -> Any:
    root, findings = interpolate(tree({"x": text}), ENVIRON if environ is None else environ)
    assert not findings
    return plain(root)["x"]


def refused(text: str, environ: dict[str, str] | None = None) -> tuple[str, str | None, str | None]:
    _, (finding,) = interpolate(tree({"x": text}), ENVIRON if environ is None else environ)
    return finding.expected, finding.found, finding.suggestion


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https://${HOST}/${HOST}", "https://example.org/example.org"),
        ("${EMPTY}", ""),
        ("${MISSING:-a:-b}", "a:-b"),
        ("${MISSING:-}", ""),
        ("${EMPTY:-x}", "x"),
        ("${HOST:-x}", "example.org"),
        ("${NESTED}", "${HOST}"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST {name} $", "$HOST {name} $"),
    ],
)
def test_filled_in(text: str, value: str) -> None:
    """Variables and defaults are filled in once, an empty variable has its default, and $${ is a plain ${."""
    assert filled(text) == value


def test_everywhere_but_in_keys() -> None:
    """Strings in tables and arrays are filled in, keys and other values are not."""
    root, _ = interpolate(tree({"${HOST}": ["${HOST}", 1, {"a": "${HOST}"}]}), ENVIRON)
    assert plain(root) == {"${HOST}": ["example.org", 1, {"a": "example.org"}]}


def test_what_was_written_is_kept() -> None:
    """The text before filling in stays with the value."""
    root, _ = interpolate(tree({"a": ["x", "${HOST}"]}), ENVIRON)
    assert lookup(root, ("a", 1))[0].written == "${HOST}"
    assert lookup(root, ("a", 0))[0].written is None


def test_a_missing_variable() -> None:
    """A variable that is not set is a fault, with the one that was probably meant."""
    expected = "the environment variable HOSTS, or ${HOSTS:-default}"
    assert refused("${HOSTS}") == (expected, "no such variable", "HOST")


@pytest.mark.parametrize("text", ["${", "${HOST", "${}", "${a b}", "${HOST:x}", "${1A}"])
def test_not_a_reference(text: str) -> None:
    """What begins like a reference and is none is a fault that names the forms there are."""
    expected, found, _ = refused(text)
    assert expected == "${NAME}, ${NAME:-default} or ${credential:NAME}; $${ stands for a plain ${"
    assert found
    assert found in text


def test_a_variable_that_is_no_text() -> None:
    """A value that is not UTF-8 is a fault; it could not be printed, sent or kept."""
    expected, found, _ = refused("${HOST:-x}", {"HOST": "a\udcff"})
    assert (expected, found) == ("the environment variable HOST as UTF-8 text", "other bytes")


def test_several_faults() -> None:
    """Each string that can't be filled in is a fault of its own, at its path."""
    _, findings = interpolate(tree({"a": "${X}", "b": ["${Y}", "${HOST}"]}), ENVIRON)
    paths: list[KeyPath] = [finding.path for finding in findings]
    assert paths == [("a",), ("b", 0)]


def test_a_credential(tmp_path: Path) -> None:
    """A credential is the content of its file, without the line break at the end."""
    (tmp_path / "token").write_text("s3cret \n")
    assert filled("Bearer ${credential:token}", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "Bearer s3cret "


def test_no_credentials() -> None:
    """Without systemd's folder the fault says which line of the unit is missing."""
    found = "no $CREDENTIALS_DIRECTORY; set LoadCredential= in the systemd unit"
    assert refused("${credential:token}") == ("the credential token", found, None)


@pytest.mark.parametrize("name", ["../token", "a/b", "..", "", "a\0"])
def test_a_credential_is_a_plain_name(tmp_path: Path, name: str) -> None:
    """A credential's name can't leave the folder."""
    (tmp_path / "token").write_text("x")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "inner")}
    expected, _, _ = refused(f"${{credential:{name}}}", environ)
    assert expected == "the name of a credential: letters, digits, _, - and ."


def test_credentials_that_can_not_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, other bytes than UTF-8 and too many of them are faults without the content."""
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"x" * 1_000_001)
    nothing = "no such file in $CREDENTIALS_DIRECTORY"
    assert refused("${credential:none}", environ) == ("the credential none", nothing, None)
    assert refused("${credential:folder}", environ) == ("the credential folder", nothing, None)
    assert refused("${credential:bytes}", environ) == ("the credential bytes as UTF-8 text", "other bytes", None)
    assert refused("${credential:large}", environ) == ("the credential large, at most 1MB", "more", None)


def test_a_credential_without_permission(tmp_path: Path) -> None:
    """A credential that may not be read is told so."""
    (tmp_path / "token").touch(mode=0)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with unprivileged():
        assert refused("${credential:token}", environ) == ("the credential token", "permission denied", None)


@given(st.text(st.sampled_from("${}:-aA ")))
def test_escaped_text_comes_back(text: str) -> None:
    """What is escaped is filled in to what it was."""
    assert filled(escape(text)) == text


@given(st.text(st.sampled_from("${}:-aA credential/.")))
def test_any_text(text: str) -> None:
    """Any text is filled in or a fault, never an exception."""
    _, findings = interpolate(tree([text]), ENVIRON)
    assert all(isinstance(finding, Finding) for finding in findings)
