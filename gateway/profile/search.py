"""Which file a profile's name means, and the folders it is looked for in."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.profile.faults import Fault, did_you_mean, listed, shown

DEFAULT_PROFILE = "development"
"""What runs where nobody chose: the profile that suits a machine that somebody sits at."""

_SYSTEM = Path("/etc/gateway/profiles")
_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder() -> Path:
    """Where the shipped profiles are: in the wheel `gateway/shipped`, in a checkout `profiles` beside the package."""
    installed = _PACKAGE / "shipped"
    return installed if installed.is_dir() else _PACKAGE.parent / "profiles"


@dataclass(frozen=True, slots=True)
class Search:
    """Where profiles are looked for: `folders`, in order; relative paths begin at `cwd`."""

    cwd: Path
    folders: tuple[Path, ...]

    @classmethod
    def standard(cls, cwd: Path | None = None, folders: Sequence[Path] | None = None) -> Search:
        """`./profiles`, `/etc/gateway/profiles`, then the shipped ones; or the `folders` given."""
        here = Path.cwd() if cwd is None else cwd
        found = (here / "profiles", _SYSTEM, shipped_folder()) if folders is None else folders
        return cls(here, tuple(dict.fromkeys(found)))

    def profile(self, name: str) -> Path | Fault:
        """The file that `--profile` means by a name, or by a path: whatever has a `/` or ends in `.toml`."""
        if "/" in name or name.endswith(".toml"):
            path = self.cwd / name
            return path if exists(path) else Fault(shown_option(name), expected="a profile", found="no such file")
        found = next(self._candidates(name), None)
        return found if found is not None else self._unknown(name)

    def extended(self, name: str, by: Path) -> Path | Fault:
        """The file that `extends` in the file `by` means: beside that file, else in the folders.

        A file never means itself by its own name, so `/etc/gateway/profiles/production.toml` can extend
        the shipped `production.toml`.
        """
        file = name if name.endswith(".toml") else f"{name}.toml"
        places = (by.parent, *self.folders)
        for folder in places:
            path = folder / file
            if exists(path) and not same(path, by):
                return path
        if exists(by.parent / file):
            return by.parent / file
        where = listed(dict.fromkeys(self.show(place) for place in places))
        near = did_you_mean(file, dict.fromkeys(found for place in places for found in _profiles(place)))
        return Fault("", expected=f"a profile in {where}", found=shown(name), suggestion=shown(near) if near else None)

    def show(self, path: Path) -> str:
        """A path as messages call it: relative to the working folder where it is below that."""
        return str(path.relative_to(self.cwd)) if path.is_relative_to(self.cwd) and path != self.cwd else str(path)

    def _candidates(self, name: str) -> Iterator[Path]:
        return (path for folder in self.folders if exists(path := folder / f"{name}.toml"))

    def _unknown(self, name: str) -> Fault:
        known = sorted({Path(file).stem for folder in self.folders for file in _profiles(folder)})
        where = listed(self.show(folder) for folder in self.folders)
        there = f"only {listed(known, last='and')}" if known else "none at all"
        return Fault(
            shown_option(name), expected=f"a profile in {where}", found=there, suggestion=did_you_mean(name, known)
        )


def shown_option(name: str) -> str:
    """The option that named the profile, as messages quote it."""
    return f"--profile {name}" if name.isprintable() and name else f"--profile {shown(name)}"


def exists(path: Path) -> bool:
    """Whether there is something at `path`, also where it can't be read: reading it then says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return not _unusable_name(error)
    return True


def same(one: Path, other: Path) -> bool:
    """Whether two paths are one file."""
    return real(one) == real(other)


def real(path: Path) -> str:
    """A path without links, to compare; unlike `Path.resolve` it survives a loop of links."""
    return os.path.realpath(path)


def _unusable_name(error: OSError) -> bool:
    return error.errno == errno.ENAMETOOLONG


def _profiles(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix == ".toml")
    except OSError:
        return []
