"""Reading in a folder without ever leaving it: no `..`, link, special file or race leads out (openat(2)).

A path is walked segment by segment, each opened relative to the folder before it and never through a link. A link is
read and its target walked in the same way, so that it counts as if its target had been written in its place; `..` in it
goes back to the folder that was walked through, not to what the file system calls the parent by now.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.printable import printable
from gateway.profile.units import format_size

_MAX_LINKS = 20
_MAX_SEGMENTS = 200
_CHUNK = 1 << 20
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell every change: some file systems count in steps of two seconds."""
_ATTEMPTS = 3
"""How often a file is read that is written to at the same time."""

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO must not make anyone wait

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class Read:
    """A file, or that it is the one that is known."""

    path: str
    """Where it is within the folder, without links."""
    etag: str
    """Another one whenever the file changes; empty where it changed so lately that it could again without showing."""
    content: bytes | None
    """None where the file is the known one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file of the folder; `modified` is nanoseconds since the epoch."""

    path: str
    size: int
    modified: int


class Folder:
    """The regular files under `root`. Everything here blocks, and raises UpstreamError of the upstream `name`."""

    def __init__(self, name: str, root: Path, *, max_size: int, max_files: int) -> None:
        self._name = name
        self._root = root
        self._max_size = max_size
        self._max_files = max_files

    def read(self, path: str, known: str = "") -> Read:
        """The file at `path`, of at most `max_size` bytes; nothing is read where its etag is `known`."""
        with ExitStack() as opened:
            try:
                where, parent = self._walk(opened, path)
                descriptor = self._open(opened, path, where[-1], parent)
                return self._content(path, "/".join(where), descriptor, known)
            except OSError as error:
                raise self._failure(path, error) from error

    def files(self, is_wanted: Callable[[str], bool], is_left_out: Callable[[str], bool]) -> list[Found]:
        """The wanted regular files, ordered by path; a folder that is left out is not looked into.

        Links are not followed and not listed, and so are names that are no text: nobody could ask for them.
        """
        found: list[Found] = []
        root = os.path.realpath(self._root)
        try:
            for folder, folders, names, descriptor in os.fwalk(root, follow_symlinks=False, onerror=self._only_below):
                within = "" if folder == root else os.path.relpath(folder, root) + "/"
                folders[:] = [name for name in folders if not is_left_out(within + name)]
                for name in names:
                    path = within + name
                    with suppress(FileNotFoundError):  # gone since
                        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode) and _is_text(path) and is_wanted(path):
                            found.append(Found(path, status.st_size, status.st_mtime_ns))
                if len(found) > self._max_files:
                    limit = f"{self._max_files} (upstreams.{self._name}.max_files)"
                    raise UpstreamInvalid(self._name, f"the folder has more files than {limit}")
        except OSError as error:
            raise self._failure("", error) from error
        return sorted(found, key=lambda file: file.path)

    def _only_below(self, error: OSError) -> None:
        """A folder that can't be read is left out; the root is not."""
        if error.filename == os.path.realpath(self._root) or not isinstance(error, PermissionError | FileNotFoundError):
            raise error

    def _walk(self, opened: ExitStack, path: str) -> tuple[list[str], int]:
        """The names on the way to the file that `path` leads to, without links, and the folder that holds it."""
        try:
            root = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise UpstreamUnavailable(
                self._name, f"the folder {self._root} can't be opened: {error.strerror}"
            ) from error
        opened.callback(os.close, root)
        folders, links = [root], 0
        names: list[str] = []
        ahead = self._segments(path)
        while ahead:
            name = ahead.pop(0)
            if name == "..":
                if len(folders) == 1:
                    raise self._refused(path, "leads out of the folder")
                folders.pop()
                names.pop()
                continue
            status = os.stat(name, dir_fd=folders[-1], follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                target = os.readlink(name, dir_fd=folders[-1])
                if target.startswith("/"):
                    raise self._refused(path, "is, or goes through, a link to an absolute path")
                ahead = [part for part in target.split("/") if part not in ("", ".")] + ahead
                if links > _MAX_LINKS or len(ahead) > _MAX_SEGMENTS:
                    raise self._refused(path, "goes through too many links")
            elif ahead:
                if not stat.S_ISDIR(status.st_mode):
                    raise UpstreamNotFound(self._name, f"there is no file {printable(path)}")
                descriptor = os.open(name, _FOLDER, dir_fd=folders[-1])
                opened.callback(os.close, descriptor)
                folders.append(descriptor)
                names.append(name)
            else:
                return [*names, name], folders[-1]
        raise self._refused(path, "is a folder")

    def _segments(self, path: str) -> list[str]:
        segments = path.split("/")
        if "\0" in path or any(segment in ("", ".", "..") for segment in segments):
            raise self._refused(path, "is no path within the folder")
        if len(segments) > _MAX_SEGMENTS:
            raise self._refused(path, "has too many segments")
        return segments

    def _open(self, opened: ExitStack, path: str, name: str, parent: int) -> int:
        # Looked at before it is opened: opening a device can do something. And again after: it may be another by then.
        self._refuse_special(path, os.stat(name, dir_fd=parent, follow_symlinks=False))
        descriptor = os.open(name, _FILE, dir_fd=parent)
        opened.callback(os.close, descriptor)
        self._refuse_special(path, os.fstat(descriptor))
        return descriptor

    def _content(self, path: str, where: str, descriptor: int, known: str) -> Read:
        for _ in range(_ATTEMPTS):
            before = os.fstat(descriptor)
            etag = _etag(before)
            if etag and etag == known:
                return Read(where, etag, None)
            content = self._bytes(path, descriptor, before.st_size)
            if _state(os.fstat(descriptor)) == _state(before):
                return Read(where, etag, content)
            os.lseek(descriptor, 0, os.SEEK_SET)
        raise UpstreamUnavailable(self._name, f"the file {printable(path)} is being written to")

    def _bytes(self, path: str, descriptor: int, size: int) -> bytes:
        chunks: list[bytes] = []
        room = self._max_size + 1
        while size <= self._max_size and room > 0 and (chunk := os.read(descriptor, min(_CHUNK, room))):
            chunks.append(chunk)
            room -= len(chunk)
        if size > self._max_size or room <= 0:
            limit = f"{format_size(self._max_size)} (upstreams.{self._name}.max_size)"
            raise UpstreamInvalid(self._name, f"the file {printable(path)} is larger than {limit}")
        return b"".join(chunks)

    def _refuse_special(self, path: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "no regular file")
            raise self._refused(path, f"is {kind}")

    def _refused(self, path: str, why: str) -> UpstreamRejected:
        return UpstreamRejected(self._name, f"{printable(path)!r} {why}, and only files within it are read")

    def _failure(self, path: str, error: OSError) -> UpstreamError:
        what = f"the file {printable(path)}" if path else f"the folder {self._root}"
        match error.errno:
            case errno.ENOENT | errno.ENAMETOOLONG:
                return UpstreamNotFound(self._name, f"there is no file {printable(path)}") if path else self._gone()
            case errno.ELOOP | errno.ENOTDIR | errno.EINVAL | errno.ENXIO:  # it became a link or stopped being one
                return UpstreamUnavailable(self._name, f"{what} became something else while it was opened")
            case errno.EACCES | errno.EPERM:
                return UpstreamRejected(self._name, f"{what} may not be read by the gateway's user")
            case _:
                return UpstreamUnavailable(self._name, f"{what} can't be read: {error.strerror or error}")

    def _gone(self) -> UpstreamUnavailable:
        return UpstreamUnavailable(self._name, f"the folder {self._root} is not there")


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _etag(status: os.stat_result) -> str:
    """The file's state as text; empty where the file changed just now, as Git has it ("racy" entries of its index)."""
    if abs(time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)) < _SETTLED:
        return ""
    return "-".join(f"{number:x}" for number in _state(status))


def _is_text(path: str) -> bool:
    """Whether the name is text: others can't be written in JSON, so nobody could ask for them."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
