"""`type = "files"`: the files of a folder."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.profile.section import Section, expected
from gateway.profile.units import Duration, Size

_SYSTEM = ("/proc", "/sys", "/dev", "/run")


def _folder(value: str) -> str:
    """Refuse the root of the file system, and what is no real folder at all: files there are not documents."""
    path = Path(value)
    within = any(path.is_relative_to(system) for system in _SYSTEM)
    if "\0" in value or not value or path == Path("/") or within or ".." in path.parts:
        raise expected('a folder of its own such as "~/handbook", without ".."')
    return value


class FolderWatch(Section):
    """`watch`: whether a file has changed is looked at now and then."""

    interval: Annotated[Duration, Field(gt=0)] = 2.0
    """How often. When a file has changed, come or gone, answers made of the folder's files are made anew."""


class FilesUpstream(Section):
    """The files of one folder and the folders in it; nothing outside it."""

    type: Literal["files"]
    """Says that this is a folder."""
    root: Annotated[str, AfterValidator(_folder)]
    """The folder. `~` is the user's home; a relative path starts where the gateway was started."""
    include: tuple[str, ...] = Field(default=(), strict=False)
    """Only these files, as globs: `*` is any text in a name, `**` any number of folders; none of them is all files."""
    exclude: tuple[str, ...] = Field(default=("**/.*", "**/.*/**"), strict=False)
    """Not these files, whatever `include` says; at first what is hidden."""
    max_size: Annotated[Size, Field(gt=0)] = 16_000_000
    """Largest file."""
    max_files: Annotated[int, Field(ge=1)] = 10_000
    """Most files in the list of a folder with all that is in it."""
    watch: FolderWatch | None = FolderWatch.unset()
    """Looks for changes, so that they count soon and not when the strategy's ttl is over."""
