from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile.faults import Fault
from gateway.profile.source import MAX_BYTES, Source, depth_exceeds, read_source
from tests.unprivileged import unprivileged


def fault(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    found = read_source(path, path.name)
    assert isinstance(found, Fault)
    return str(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.toml"


def test_a_file(path: Path) -> None:
    """A file is read with its table, its lines and the places of its keys; a byte order mark is no part of it."""
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    source = read_source(path, "p.toml")
    assert isinstance(source, Source)
    assert source.table == {"a": 1}
    assert source.lines == ("a = 1", "")
    assert source.places["a",].value.column == 5


def test_syntax(path: Path) -> None:
    """A syntax error is told at its line and column."""
    assert fault(path, b"a = 1\nb == 2") == (
        "p.toml:2:4: expected TOML, found a syntax error: invalid value\n     2 | b == 2\n       |    ^"
    )


def test_syntax_at_the_end(path: Path) -> None:
    """What is missing at the end of a file is told at its end."""
    assert fault(path, b"a = 1\nb = [1").startswith("p.toml:2:7: expected TOML, found a syntax error: unclosed array")


def test_a_key_twice(path: Path) -> None:
    """A key that is there twice is told at the second."""
    assert fault(path, b"a = 1\na = 2").startswith("p.toml:2:6: expected TOML, found a syntax error: cannot overwrite")


def test_not_utf8(path: Path) -> None:
    """Bytes that are not UTF-8 are told at their place, counted in characters."""
    first = fault(path, "a = 1\nb = 'é".encode() + b"\xff'").split("\n")[0]
    assert first == "p.toml:2:7: expected UTF-8 text, found the byte 0xff"


def test_too_large(path: Path) -> None:
    """A file above the limit is not read on."""
    expected = "p.toml: expected a file of at most 4MB, found a larger one"
    assert fault(path, b"#" * (MAX_BYTES + 1)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 101 + b"]" * 101,
        b"a = " + b"[" * 100_000,
        b"a" + b".a" * 101 + b" = 1",
        b"a = " + b"{a = " * 2_000 + b"1" + b"}" * 2_000,
    ],
    ids=["arrays", "unclosed", "dotted", "inline"],
)
def test_too_deep(path: Path, content: bytes) -> None:
    """Nesting beyond the limit is a fault, also where it would exhaust the parser."""
    assert fault(path, content) == "p.toml: expected tables and arrays nested at most 100 deep, found more"


def test_an_integer_beyond_64_bits(path: Path) -> None:
    """TOML promises 64 bits; more is a fault at its place, not a surprise later."""
    found = fault(path, b"[a]\nb = [1, 0xffffffffffffffff]").split("\n")[0]
    assert found == "p.toml:2:9: a.b[1]: expected an integer of at most 64 bits, found a larger one"


def test_thousands_of_digits(path: Path) -> None:
    """An integer that Python refuses to read is a fault too."""
    assert fault(path, b"a = " + b"9" * 5000).startswith("p.toml: expected TOML, found a syntax error: exceeds")


def test_no_file(path: Path) -> None:
    """A folder and nothing at all are told apart."""
    path.mkdir()
    assert str(read_source(path, "p.toml")) == "p.toml: expected a file, found a folder"
    assert str(read_source(path / "x", "x")) == "x: expected a file, found no file"


def test_no_permission(path: Path) -> None:
    """A file that may not be read is told so."""
    path.touch(mode=0)
    with unprivileged():
        assert str(read_source(path, "p.toml")) == "p.toml: expected a file that can be read, found permission denied"


def test_depth() -> None:
    """A scalar in one table is one deep."""
    assert not depth_exceeds({"a": 1}, limit=1)
    assert depth_exceeds({"a": {"b": 1}}, limit=1)
