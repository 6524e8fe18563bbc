from __future__ import annotations

from pathlib import Path

import pytest

from gateway.watch.scaling.allowed import allowed_memory


def cgroup(folder: Path, text: str, **limits: str) -> tuple[Path, Path]:
    """The file that names the cgroup, and a tree in which `limits` stand, by folder."""
    (folder / "cgroup").write_text(text)
    mount = folder / "fs"
    for name, limit in limits.items():
        place = mount / name.replace("__", "/").removeprefix("root")
        place.mkdir(parents=True, exist_ok=True)
        (place / "memory.max").write_text(f"{limit}\n")
    mount.mkdir(exist_ok=True)
    return folder / "cgroup", mount


@pytest.mark.parametrize(
    ("text", "limits", "allowed"),
    [
        ("0::/system/gateway\n", {"system__gateway": "500000000", "system": "max"}, 500_000_000),
        ("0::/system/gateway\n", {"system__gateway": "500000000", "system": "400000000"}, 400_000_000),
        ("0::/\n", {"root": "300000000"}, 300_000_000),
        ("0::/system/gateway\n", {"system__gateway": "max"}, None),
        ("0::/elsewhere\n", {}, None),
        ("12:memory:/a\n", {"a": "5"}, None),
    ],
)
def test_the_least_limit_of_the_cgroup_and_those_above(
    tmp_path: Path, text: str, limits: dict[str, str], allowed: int | None
) -> None:
    """None where there is none, or where only version 1 of control groups could tell."""
    assert allowed_memory(*cgroup(tmp_path, text, **limits)) == allowed


def test_workers_share_it(tmp_path: Path) -> None:
    """All processes of a service are in one control group."""
    file, mount = cgroup(tmp_path, "0::/a\n", a="500000000")
    assert allowed_memory(file, mount, workers=4) == 125_000_000


def test_a_system_without_control_groups_allows_anything(tmp_path: Path) -> None:
    """There is no such file."""
    assert allowed_memory(tmp_path / "nothing", tmp_path) is None
