from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.importing import source
from gateway.importing.source import SpecificationError, read_specification
from tests.fakes.http_server import HttpServer, answer, gzipped, silent


async def test_json_and_yaml(tmp_path: Path) -> None:
    """Both are read, also with a byte order mark."""
    (tmp_path / "a.json").write_text('\ufeff {"a": [1]}')
    (tmp_path / "a.yaml").write_text("a:\n- 1\n")
    for name in ("a.json", "a.yaml"):
        assert (await read_specification(str(tmp_path / name))).content == {"a": [1]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": }', "is no JSON: "),
        (b"a: [1", "is no YAML: "),
        (b"\xff\xfe", "expected UTF-8, found other bytes at 0"),
        (b"[" * 100_000, "is no JSON: "),
        (b"- " * 100_000, "is no YAML: it is nested more than 200 levels deep"),
    ],
)
async def test_what_cannot_be_read(tmp_path: Path, data: bytes, reason: str) -> None:
    """One sentence says what is wrong; depth ends nothing but the import."""
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(SpecificationError) as caught:
        await read_specification(str(tmp_path / "a"))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_no_file(tmp_path: Path) -> None:
    """Neither a folder nor nothing is a specification."""
    for name in (tmp_path, tmp_path / "nope", "\0"):
        with pytest.raises(SpecificationError, match="expected a file or an address, found neither"):
            await read_specification(str(name))


async def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read up to a bound."""
    monkeypatch.setattr(source, "MAX_SIZE", 5_000)
    (tmp_path / "a").write_bytes(b"a" * 5_001)
    with pytest.raises(SpecificationError, match="expected at most 5KB, found more"):
        await read_specification(str(tmp_path / "a"))


async def test_an_address(nursery: trio.Nursery) -> None:
    """A specification may be fetched; the answer's status, a redirect and a broken answer are told."""
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/spec", answer(b'{"a": 1}'))
    server.on("/moved", answer(status="301 Moved", headers={"Location": "https://example.org/spec"}))
    server.on("/broken", b"nonsense\r\n\r\n")
    assert (await read_specification(f"{server.url}/spec")).content == {"a": 1}
    for path, reason in (
        ("/nope", "answered 404"),
        ("/moved", "with a redirect to https://example.org/spec, which is not followed"),
        ("/broken", "can't be fetched: "),
    ):
        with pytest.raises(SpecificationError, match=reason):
            await read_specification(f"{server.url}{path}")
    with pytest.raises(SpecificationError, match="can't be fetched: "):
        await read_specification("http://127.0.0.1:9/spec")


async def test_a_bomb(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to more than the bound is given up on the way."""
    monkeypatch.setattr(source, "MAX_SIZE", 500_000)
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/spec", gzipped(b" " * 20_000_000))
    with pytest.raises(SpecificationError, match=r"the answer is larger than 500KB$"):
        await read_specification(f"{server.url}/spec")


async def test_an_address_that_never_answers(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a while."""
    monkeypatch.setattr(source, "_PATIENCE", 0.05)
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/spec", silent)
    with pytest.raises(SpecificationError, match="can't be fetched: "):
        await read_specification(f"{server.url}/spec")
