from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.pins import accept, diff_, forget, ls
from gateway.errors import GatewayError
from gateway.upstream.mcp.model import Definitions
from gateway.upstream.mcp.pins import Pins, digest
from gateway.upstream.mcp.pins_file import PinsFile
from tests.fakes.mcp_rig import tool


@pytest.fixture
def profile(tmp_path: Path) -> str:
    """A server that has changed one of its tools and lists one no more, and a server that was never seen."""
    file = PinsFile(str(tmp_path / "pins"), "far")
    first = Definitions((tool("echo"), tool("gone"), tool("same")), resources=({"uri": "x://a\x1b[31m", "name": "a"},))
    then = Definitions((tool("echo", description="Other\x1b[31m"), tool("same")), resources=first.resources)
    pins = Pins().reviewed(first, "first-use", {})[0].reviewed(then, "first-use", {})[0]
    file.update(lambda _: (pins, None))
    servers = "".join(f'[upstreams.{name}]\ntype = "mcp"\ncommand = ["x"]\n' for name in ("far", "near"))
    (tmp_path / "p.toml").write_text(f'{servers}[federation]\npins = "{tmp_path / "pins"}"\n')
    return str(tmp_path / "p.toml")


def test_ls(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every definition with its state, the hash that a profile can pin, and its name, on one line each."""
    assert ls(profile=profile) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], *line[2:]) for line in lines] == [
        ("pending", "far", "tools/echo"),
        ("live", "far", "tools/same"),
        ("gone", "far", "tools/gone"),
        ("live", "far", "resources/x://a?[31m"),
    ]
    assert lines[1][1] == digest("tools", tool("same"))
    assert ls("near", profile=profile) == 0
    assert capsys.readouterr().out == ""


def test_diff_and_accept(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What has changed is shown without what a terminal would act on; once accepted, there is nothing to show."""
    assert diff_("far", profile=profile) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("tools/echo\n  --- accepted\n  +++ now\n")
    assert '  +  "description": "Other\\u001b[31m",\n' in shown
    assert diff_("far", "tools/same", profile=profile) == 0
    assert accept("far", "tools/echo", profile=profile) == 0
    assert capsys.readouterr().out == "accepted tools/echo\n"
    assert diff_("far", profile=profile) == 0
    assert accept("far", all_=True, profile=profile) == 0
    assert capsys.readouterr().out == "nothing is pending\n"


def test_forget(profile: str, tmp_path: Path) -> None:
    """What is forgotten is new the next time."""
    assert forget("far", "tools/echo", profile=profile) == 0
    left = PinsFile(str(tmp_path / "pins"), "far").load()
    assert [f"{kind}/{own}" for kind, own, _ in left.each()][:2] == ["tools/same", "tools/gone"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fra", "tools/echo"), "no mcp upstream 'fra' in the profile p; did you mean far?"),
        (("other", "tools/echo"), "no mcp upstream 'other' in the profile p; there is far or near"),
        (("far", "tools/ech"), "no definition tools/ech; did you mean tools/echo?"),
        (("far", "what"), "no definition what"),
    ],
)
def test_names_that_lead_nowhere(profile: str, arguments: tuple[str, ...], sentence: str) -> None:
    """Are told with what was probably meant."""
    for command in (accept, forget, diff_):
        with pytest.raises(GatewayError) as error:
            command(*arguments, profile=profile)
        assert str(error.value) == sentence


def test_accept_needs_to_know_what(profile: str) -> None:
    """Neither nothing nor everything by accident."""
    for arguments, every in ((("far",), False), (("far", "tools/echo"), True)):
        with pytest.raises(GatewayError, match="name what is to be accepted, such as tools/echo, or say --all"):
            accept(*arguments, all_=every, profile=profile)
    with pytest.raises(GatewayError, match="name what is to be forgotten"):
        forget("far", profile=profile)
