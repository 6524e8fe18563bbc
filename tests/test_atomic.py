from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.atomic import Replacement, write_atomically


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Until the new content is complete the old one is read, and nothing else is left beside it."""
    target = tmp_path / "report.json"
    target.write_bytes(b"old")
    with Replacement(target) as file:
        file.write(b"new" * 100_000)
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new" * 100_000
    assert left(tmp_path) == ["report.json"]


def test_what_was_not_finished_is_gone(tmp_path: Path) -> None:
    """The old file stays as it was."""
    target = tmp_path / "report.json"
    write_atomically(target, b"old")
    with pytest.raises(TypeError), Replacement(target) as file:
        file.write("new")  # type: ignore[call-overload]  # text is no bytes
    assert target.read_bytes() == b"old"
    assert left(tmp_path) == ["report.json"]


def test_a_commit_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """As when the disk is full at the last moment: here the folder is gone from under it."""
    folder = tmp_path / "a"
    folder.mkdir()
    replacement = Replacement(folder / "f")
    folder.rename(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        replacement.commit()
    replacement.discard()
    assert replacement.file.closed


def test_the_mode_is_kept(tmp_path: Path) -> None:
    """Of a file that is there; a new one gets the mode asked for, less the umask."""
    target = tmp_path / "secret"
    target.write_bytes(b"old")
    target.chmod(0o640)
    write_atomically(target, b"new", mode=0o600)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    write_atomically(tmp_path / "new", b"", mode=0o600)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is replaced, in its own folder."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    write_atomically(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"x"
    assert left(tmp_path / "there") == ["file"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_only_a_regular_file_is_replaced(tmp_path: Path, kind: str) -> None:
    """A rename over /dev/null would be a surprise."""
    target = Path("/dev/null") if kind == "device" else tmp_path / "x"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(target, b"")


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    """The file in which the content grows has a name of its own."""
    write_atomically(tmp_path / ("n" * 255), b"x")
    assert len(left(tmp_path)) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is not made: who asked for it mistyped it."""
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "file", b"")
