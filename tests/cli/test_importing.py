from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.check import check
from gateway.cli.importing import mcp, openapi
from gateway.errors import GatewayError
from tests.fakes.mcp_rig import CHILD, Child, tool

SPECIFICATION = {
    "openapi": "3.1.0",
    "info": {"title": "Pets"},
    "servers": [{"url": "https://pets.example.org"}],
    "paths": {"/pets": {"get": {"operationId": "listPets"}, **{m: {} for m in ("head", "options", "trace")}}},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.json").write_text(json.dumps(SPECIFICATION))


def test_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """The catalogue is printed, and what was left out is told on stderr."""
    assert openapi("spec.json") == 0
    out, err = capsys.readouterr()
    assert "\n[tools.list_pets]\n" in out
    assert err.startswith("gateway: 1 tool imported, 3 operations left out:\n  HEAD /pets: the method HEAD\n")


def test_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there is kept unless that is wanted; what is written passes the check."""
    target = Path("pets.toml")
    assert openapi("spec.json", output=target, prefix="x_", name="pets-2") == 0
    written = target.read_text()
    assert "[tools.x_list_pets]" in written
    assert check(profile="./pets.toml", strict=True) == 0
    target.write_text("mine")
    with pytest.raises(GatewayError, match=r"^pets\.toml is there already; --force overwrites it$"):
        openapi("spec.json", output=target)
    assert target.read_text() == "mine"
    assert openapi("spec.json", output=target, force=True, prefix="x_", name="pets-2") == 0
    assert target.read_text() == written
    assert "[tools" not in capsys.readouterr().out


def test_many_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """stderr names the first ones."""
    paths: dict[str, Any] = {f"/{number}": {"head": {}} for number in range(30)}
    Path("many.json").write_text(json.dumps({**SPECIFICATION, "paths": {"/a": {"get": {}}, **paths}}))
    assert openapi("many.json") == 0
    err = capsys.readouterr().err
    assert "30 operations left out" in err
    assert err.endswith("  and 20 more; the catalogue ends with all of them\n")


def test_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A specification that is none, and a target that can't be written, are a sentence and exit code 1."""
    assert openapi("nope.json") == 1
    assert capsys.readouterr().err == "gateway: nope.json: expected a file or an address, found neither\n"
    assert openapi("spec.json", output=Path("no/such/folder.toml")) == 1
    assert "can't be written" in capsys.readouterr().err
    with pytest.raises(GatewayError, match=r"^--prefix: expected at most 40 letters"):
        openapi("spec.json", prefix="a b")


def test_an_mcp_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its definitions are printed with their hashes, and the catalogue passes the check."""
    child = Child(tmp_path / "child")
    child.lists(tool("count", read_only=True))
    assert mcp(sys.executable, str(CHILD), str(child.folder), output=Path("x.toml"), name="far") == 0
    assert capsys.readouterr() == ("", "gateway: 1 definition imported\n")
    assert '"tools/count" = "sha256:' in Path("x.toml").read_text()
    assert check(profile="./x.toml") == 0
    with pytest.raises(GatewayError, match=r"^expected an address such as"):
        mcp()
    with pytest.raises(GatewayError, match=r"^--header: expected NAME=VALUE, found 'secret'$"):
        mcp("http://127.0.0.1:9", header=("secret",))
