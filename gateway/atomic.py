"""Files that appear as a whole or not at all: whatever the gateway writes for others to read is written here.

The way is the usual one (rename(2) is atomic; fsync(2) on why the folder is synced too): a new file in the same folder,
written, synced, given the old one's mode, renamed over it. Everything here blocks; async callers use a thread.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_NEW = 0o666
"""The mode of a file that was not there before, less the process's umask."""


class Replacement:
    """The coming content of the file `path`: write to `file`, then `commit` or `discard`.

    As a context manager it commits when the block ends well and discards when it does not. A symbolic link is followed,
    so that it still is one afterwards. `mode` is for a file that is not there yet; another keeps its own.
    Raises OSError, also for a path that leads to something other than a regular file.
    """

    def __init__(self, path: Path, *, mode: int = _NEW) -> None:
        self._path = Path(os.path.realpath(path))
        found = _mode_of(self._path)
        # The name is short, so that it fits wherever the file's own does; and nobody can have guessed it.
        self._part = self._path.with_name(f".gateway-{secrets.token_hex(8)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._part, flags, mode if found is None else found)
        self.file: BinaryIO = os.fdopen(descriptor, "wb")
        self._settled = False
        try:
            if found is not None:
                os.fchmod(descriptor, found)
        except BaseException:
            self.discard()
            raise

    def commit(self) -> None:
        """Put the file in its place, durably. After an OSError the old one is still there and the new one is gone."""
        if self._settled:
            return
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self._part.replace(self._path)
        except BaseException:
            self.discard()
            raise
        self._settled = True
        sync_folder(self._path)

    def discard(self) -> None:
        """Remove what was written; nothing happens after a commit."""
        if self._settled:
            return
        self._settled = True
        with suppress(OSError):  # closing writes what is buffered, and that is what may have failed
            self.file.close()
        with suppress(OSError):  # whoever discards has an error of their own to tell
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()


def write_atomically(path: Path, content: bytes, *, mode: int = _NEW) -> None:
    """Give the file `path` this content; who reads it meanwhile, or after a power loss, sees the old or the new whole.

    Raises OSError, and the old file is still there then.
    """
    with Replacement(path, mode=mode) as file:
        file.write(content)


def sync_folder(path: Path) -> None:
    """Make the names in the folder of `path` survive a power loss."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode_of(path: Path) -> int | None:
    """The permissions of the file, None where there is none; raises OSError for a folder, a device or a FIFO."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it is not a regular file", str(path))
    return stat.S_IMODE(status.st_mode)
