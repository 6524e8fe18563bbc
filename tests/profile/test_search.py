from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile.faults import Fault
from gateway.profile.search import Search, shipped_folder
from tests.unprivileged import unprivileged


@pytest.fixture
def search(tmp_path: Path) -> Search:
    for file in ("near/a.toml", "near/production.toml", "far/a.toml", "far/base.toml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    return Search(tmp_path, (tmp_path / "near", tmp_path / "far", tmp_path / "none"))


def test_the_nearest_folder_wins(search: Search) -> None:
    """A name is looked up folder by folder."""
    assert search.profile("a") == search.cwd / "near/a.toml"
    assert search.profile("base") == search.cwd / "far/base.toml"


def test_a_path(search: Search) -> None:
    """What has a slash or ends in .toml is a path from the working folder, or an absolute one."""
    assert search.profile("far/a.toml") == search.cwd / "far/a.toml"
    assert search.profile(str(search.cwd / "far/a.toml")) == search.cwd / "far/a.toml"
    assert str(search.profile("a.toml")) == "--profile a.toml: expected a profile, found no such file"


def test_an_unknown_name(search: Search) -> None:
    """An unknown name says where it was looked for, what there is, and what was probably meant."""
    assert str(search.profile("prod")) == (
        "--profile prod: expected a profile in near, far or none, found only a, base and production\n"
        "         did you mean production?"
    )


def test_no_profiles(tmp_path: Path) -> None:
    """Where there are no profiles at all, that is said."""
    found = str(Search(tmp_path, (tmp_path / "none",)).profile("x"))
    assert found == "--profile x: expected a profile in none, found none at all"


@pytest.mark.parametrize("name", ["", "\0", "a" * 10_000, "\x1b[2J", "../../x"])
def test_strange_names(search: Search, name: str) -> None:
    """Any name that is no profile is a fault, without characters that a terminal would obey."""
    found = search.profile(name)
    assert isinstance(found, Fault)
    assert "\x1b" not in str(found)


def test_extended_files(search: Search) -> None:
    """`extends` looks beside the file first, then in the folders; .toml can be left out."""
    by = search.cwd / "far/base.toml"
    assert search.extended("a.toml", by) == search.cwd / "far/a.toml"
    assert search.extended("production.toml", by) == search.cwd / "near/production.toml"
    assert search.extended("production", by) == search.cwd / "near/production.toml"


def test_a_file_extends_its_namesake(search: Search) -> None:
    """A file never means itself, so a local a.toml can extend the one of a later folder."""
    assert search.extended("a.toml", search.cwd / "near/a.toml") == search.cwd / "far/a.toml"
    assert search.extended("base.toml", search.cwd / "far/base.toml") == search.cwd / "far/base.toml"


def test_a_link_to_itself(search: Search) -> None:
    """A loop of links is no crash."""
    link = search.cwd / "near/loop.toml"
    link.symlink_to(link)
    assert search.profile("loop") == link
    assert search.extended("loop.toml", search.cwd / "near/a.toml") == link


def test_a_folder_without_permission(search: Search) -> None:
    """A profile that can't be looked at is found: reading it says why it can't be used."""
    (search.cwd / "near").chmod(0)
    with unprivileged():
        assert search.profile("a") == search.cwd / "near/a.toml"
    (search.cwd / "near").chmod(0o700)


def test_the_standard_folders(tmp_path: Path) -> None:
    """./profiles, then the system's, then the shipped ones."""
    search = Search.standard(tmp_path)
    assert search.folders == (tmp_path / "profiles", Path("/etc/gateway/profiles"), shipped_folder())
    assert (shipped_folder() / "base.toml").is_file()
