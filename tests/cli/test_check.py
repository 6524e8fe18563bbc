from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.check import check


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """A profile without faults is summed up on stdout."""
    Path("p.toml").write_text("[strategies.a]\nttl = '1m'\n")
    assert check(profile="p.toml") == 0
    assert capsys.readouterr() == ("p: ok: 1 file, 0 tools, 0 upstreams, 1 strategy\n", "")


def test_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """Faults are printed to stderr, counted, and are exit code 1."""
    Path("p.toml").write_text("[cache]\npool_size = 0\n")
    assert check(profile="p.toml", set_=("server.title=1",)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("--set: server.title: expected a string, found 1\n\np.toml:2:13: cache.pool_size: ")
    assert err.endswith("\n\np.toml: 2 faults\n")


def test_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings are printed to stdout, and fail the check only with --strict."""
    Path("p.toml").write_text("[warm]\non_start = true\n")
    assert check(profile="p.toml") == 0
    out, err = capsys.readouterr()
    assert out == (
        "p.toml:2:1: warm.on_start: warning: there are no calls to make\n"
        "     2 | on_start = true\n"
        "       | ^\n"
        "         add a [[warm.calls]]\n"
        "\n"
        "p: ok: 1 file, 0 tools, 0 upstreams, 0 strategies, 1 warning\n"
    )
    assert err == ""
    assert check(profile="p.toml", strict=True) == 1


def test_the_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's overrides are checked too."""
    Path("p.toml").write_text("[cache]\n")
    monkeypatch.setenv("GATEWAY__CACHE__POOL_SIZE", "none")
    assert check(profile="p.toml") == 1
    assert (
        'GATEWAY__CACHE__POOL_SIZE: cache.pool_size: expected a whole number, found "none"' in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["base", "development", "testing", "production"])
def test_shipped_profiles(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped profiles pass the strictest check."""
    assert check(profile=name, strict=True) == 0
    assert capsys.readouterr().out.startswith(f"{name}: ok: ")
