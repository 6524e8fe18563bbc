from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway.cli.show import show
from gateway.profile.effective import effective
from gateway.profile.loader import load_profile

ENVIRON = {"TOKEN": "hunter2", "SIZE": "1MB"}


def load(path: Path, text: str, **environ: str) -> str:
    (path / "p.toml").write_text(text)
    loaded = load_profile("p.toml", environ=environ, cwd=path, overrides=["cache.pool_size=7"])
    return effective(loaded, origins=True)


@pytest.mark.parametrize("name", ["base", "development", "testing", "production"])
@pytest.mark.parametrize("origins", [False, True])
def test_round_trip(name: str, origins: bool, tmp_path: Path) -> None:
    """What is shown is a profile that means the same."""
    loaded = load_profile(name, environ={})
    (tmp_path / "shown.toml").write_text(effective(loaded, origins=origins))
    again = load_profile(str(tmp_path / "shown.toml"), environ={})
    assert again.profile == loaded.profile
    assert again.files == (tmp_path / "shown.toml",)


def test_strings_that_look_like_references(tmp_path: Path) -> None:
    """Text with ${ in it, escapes, line breaks and quotes come back as they were."""
    (tmp_path / "p.toml").write_text("[server]\ntitle = \"$${A} $${ \\\"\"\ninstructions = '''a\n'b' # c'''\n")
    loaded = load_profile("p.toml", environ={}, cwd=tmp_path)
    assert loaded.profile.server.title == '${A} ${ "'
    (tmp_path / "q.toml").write_text(effective(loaded, origins=True))
    assert load_profile("q.toml", environ={}, cwd=tmp_path).profile == loaded.profile


def test_secrets(tmp_path: Path) -> None:
    """What was filled in is shown as it is written."""
    (tmp_path / "key").write_text("s3cret\n")
    text = """
        [cache.memory]
        max_size = "${SIZE}"
        [upstreams.u]
        type = "http"
        base_url = "https://example.org/${TOKEN}/"
        headers = { Authorization = "Bearer ${credential:key}" }
        """
    shown = load(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path), **ENVIRON)
    assert "hunter2" not in shown
    assert "s3cret" not in shown
    upstream = tomllib.loads(shown)["upstreams"]["u"]
    assert upstream["base_url"] == "https://example.org/${TOKEN}/"
    assert upstream["headers"] == {"Authorization": "Bearer ${credential:key}"}
    assert tomllib.loads(shown)["cache"]["memory"]["max_size"] == "${SIZE}"


def test_origins(tmp_path: Path) -> None:
    """Each line with a value ends with where the value comes from."""
    text = "[cache.memory]\nmax_size = '1MB'\n[server]\nbind = ['127.0.0.1:1']"
    shown = load(tmp_path, text, GATEWAY__METRICS__INTERVAL="5s").split("\n")
    assert 'max_size = "1MB"  # p.toml:2' in shown
    assert "max_items = 50000  # default" in shown
    assert "pool_size = 7  # --set" in shown
    assert 'interval = "5s"  # GATEWAY__METRICS__INTERVAL' in shown
    assert "bind = [  # p.toml:4" in shown
    assert all("  # " in line or not line or line[0] in "[ ]" for line in shown)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints TOML to stdout; or the faults to stderr, with exit code 1."""
    (tmp_path / "p.toml").write_text("[cache]\npool_size = 3\n")
    assert show(profile=str(tmp_path / "p.toml")) == 0
    assert tomllib.loads(capsys.readouterr().out)["cache"]["pool_size"] == 3
    assert show(profile=str(tmp_path / "p.toml"), set_=("cache.pool_size=0",)) == 1
    assert capsys.readouterr() == ("", "--set: cache.pool_size: expected at least 1, found 0\n")
