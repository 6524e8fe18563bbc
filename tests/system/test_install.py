"""The built wheel: the shipped profiles travel in it, and it works from any directory."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(
    *command: str | Path, folder: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environ = environ if environ is not None else {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environ, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel in it, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("install")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []  # then nothing has to be fetched
    wheel_of: tuple[str | Path, ...] = ("wheel", "-q", ROOT, "--no-deps", *isolation, "-w", folder / "wheel")
    built = run(*pip, *wheel_of, folder=folder, environ=os.environ)
    if built.returncode and not isolation and os.environ.get("CI") != "true":
        pytest.skip("hatchling is not installed and can't be fetched")
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "wheel").glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).stdout.strip()
    unpacked = run(*pip, "install", "-q", "--no-deps", "--target", site, wheel, folder=folder)
    assert unpacked.returncode == 0, unpacked.stderr
    # The dependencies, but none of the .pth files there, which lead an editable install to this checkout.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.parametrize("name", ["base", "varlet", "development", "testing", "production"])
def test_shipped_profiles(installed: Path, name: str, tmp_path: Path) -> None:
    """Every shipped profile is found and right, from a directory that has nothing."""
    ended = run(installed, "-m", "gateway", "check", "--profile", name, folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("\n")
    assert f"{name}: ok: " in ended.stdout


def test_where_they_come_from(installed: Path, tmp_path: Path) -> None:
    """What runs is the installed package with its own profiles, not a checkout."""
    shown = run(installed, "-c", "import gateway; print(gateway.__file__)", folder=tmp_path)
    assert Path(shown.stdout.strip()).is_relative_to(installed.parents[1])
    origins = run(installed, "-m", "gateway", "show", "--profile", "production", "--origins", folder=tmp_path)
    assert 'max_size = "512MB"  # production.toml:' in origins.stdout


def test_the_profile_of_the_folder_wins(installed: Path, tmp_path: Path) -> None:
    """A profile in ./profiles is taken before the shipped one of the same name, and may build on the shipped ones."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "production.toml").write_text('extends = ["varlet.toml", "base.toml"]\n')
    ended = run(installed, "-m", "gateway", "check", "--profile", "production", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "3 files" in ended.stdout
