from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile.loader import load_profile


def faults(folder: Path, text: str) -> list[str]:
    (folder / "p.toml").write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(str(folder / "p.toml"), environ={})
    return [str(fault).partition("\n")[0].partition("p.toml:")[2] for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[alerts.response_time]\nwarning = '1s'\ncritical = '100ms'",
            '2:11: alerts.response_time.warning: expected a warning of at most the critical "100ms", which it is to '
            'come before, found "1s"',
        ),
        (
            "[alerts.hit_rate]\nwarning = '80%'\ncritical = '90%'",
            '2:11: alerts.hit_rate.warning: expected a warning of at least the critical "90%", which it is to come '
            'before, found "80%"',
        ),
        (
            "[alerts.disk]\nwarning = '1GB'\ncritical = '2GB'",
            '2:11: alerts.disk.warning: expected a warning of at least the critical "2GB", which it is to come before, '
            'found "1GB"',
        ),
        (
            "[alerts.throughput]\nwarning = 20\ncritical = 10",
            "2:11: alerts.throughput.warning: expected a warning of at most the critical 10, which it is to come "
            "before, found 20",
        ),
        (
            "[alerts.cpu]\nwarning = '80%'\nwindow = '2h'",
            '3:10: alerts.cpu.window: expected a window of metrics.interval (30s) to metrics.history (1h), found "2h"',
        ),
        (
            "[alerts.cpu]\nwindow = '2m'\nsustained = '5m'",
            "1:1: alerts.cpu: expected warning or critical, without which nothing is raised, found sustained and "
            "window alone",
        ),
        (
            "[metrics]\ninterval = '1s'\nresolution = '2s'",
            "1:1: metrics: expected a `resolution` that is at most `interval`, found 2s and 1s",
        ),
    ],
)
def test_misconfigured(tmp_path: Path, text: str, sentence: str) -> None:
    """An alert that can't do what it says is a fault of the profile, at its line."""
    assert faults(tmp_path, text) == [sentence]


def test_equal_thresholds_are_no_fault(tmp_path: Path) -> None:
    """A warning that comes together with the critical one is pointless, and harmless."""
    (tmp_path / "p.toml").write_text("[alerts.cpu]\nwarning = '80%'\ncritical = '80%'")
    assert load_profile(str(tmp_path / "p.toml"), environ={}).profile.alerts.cpu.critical == 0.8
