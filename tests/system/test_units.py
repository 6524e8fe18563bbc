"""The shipped units, as systemd itself judges them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parent.parent.parent / "systemd"
INSTALLED = "/opt/gateway/bin/gateway"
NOTIFY_RELOAD = 253
"""The version of systemd that has it."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units in a folder of systemd's, for a gateway that is installed where this one is."""
    gateway = shutil.which("gateway", path=str(Path(sys.executable).parent))
    assert gateway
    for unit in ("gateway@.service", "gateway@.socket"):
        text = (UNITS / unit).read_text()
        (tmp_path / unit).write_text(text.replace(INSTALLED, gateway))
    return tmp_path


def drop_in(installed: Path, name: str, unit: str) -> None:
    folder = installed / f"{unit}.d"
    folder.mkdir()
    text = (UNITS / "drop-ins" / name).read_text()
    (folder / name).write_text(
        text.replace(INSTALLED, str(shutil.which("gateway", path=str(Path(sys.executable).parent))))
    )


def analyze(*arguments: str) -> tuple[int, str]:
    ended = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def verify(unit: Path) -> tuple[int, str]:
    return analyze("verify", "--man=no", "--recursive-errors=yes", str(unit))


@pytest.mark.parametrize("unit", ["gateway@.service", "gateway@.socket"])
def test_the_units_are_right(installed: Path, unit: str) -> None:
    """systemd has nothing to say against them."""
    assert verify(installed / unit) == (0, "")


def test_credentials(installed: Path) -> None:
    """The example of a drop-in with credentials is right."""
    drop_in(installed, "credentials.conf", "gateway@.service")
    assert verify(installed / "gateway@.service") == (0, "")


def test_notify_reload(installed: Path) -> None:
    """So is the drop-in for newer systemd; an older one says that it does not know the type, and nothing else."""
    drop_in(installed, "notify-reload.conf", "gateway@.service")
    _, version = analyze("--version")
    code, said = verify(installed / "gateway@.service")
    if int(version.split()[1]) >= NOTIFY_RELOAD:
        assert (code, said) == (0, "")
    else:
        assert re.fullmatch(
            r"\S+notify-reload\.conf:\d+: Failed to parse service type, ignoring: notify-reload\n", said
        )


def test_hardening(installed: Path) -> None:
    """It exposes 1.2 of 10 at most."""
    code, said = analyze("security", "--offline=true", "--threshold=12", str(installed / "gateway@.service"))
    assert code == 0, said
    assert "Overall exposure level" in said


def test_a_loose_unit_would_be_found(installed: Path) -> None:
    """The same check fails on the unit without its hardening, so it does check something."""
    unit = installed / "gateway@.service"
    text = unit.read_text()
    unit.write_text(text.partition("# Hardening")[0] + "\n[Install]" + text.partition("[Install]")[2])
    assert analyze("security", "--offline=true", "--threshold=12", str(unit))[0] != 0
    unit.write_text(text.replace("ProtectClock=yes", "ProtectClok=yes"))
    assert "ProtectClok" in verify(unit)[1]
