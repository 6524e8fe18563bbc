"""From a package's tarball to the few files that are wanted: nothing is written, and nothing in it is trusted.

The standard library's reader would take links and sparse files into account, and read a header of any declared length
into memory. Here each header is at most 512 bytes or one bounded record, and only regular files exist.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.errors import UpstreamInvalid
from gateway.upstream.body import Bound, Gunzip
from gateway.upstream.content import checked_body, media_type_of

MAX_MEMBERS = 100_000
"""Most entries of a tarball; the largest packages in the registry have some ten thousand."""
MAX_KEPT = 2_000
"""Most files kept from one tarball."""
MAX_KEPT_SIZE = 64_000_000
"""Most bytes kept from one tarball."""

_BLOCK = 512
_MAX_RECORD = 65_536
"""Largest extended header or long name: a path can't be longer than 4096 bytes anywhere (POSIX PATH_MAX)."""
_STEP = 1 << 16

_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_WITHOUT_DATA = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
"""Their size, where they have one, is not of bytes that follow (POSIX.1-2017, pax, ustar Interchange Format)."""


@dataclass(frozen=True, slots=True)
class Package:
    """The wanted files of a release, by path (without the first folder, which npm calls `package`)."""

    files: dict[str, bytes]
    """Their bodies, checked: text is UTF-8, and JSON is JSON."""
    names: frozenset[str]
    """The paths of all regular files, wanted or not."""


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What to take from a tarball, and when to stop."""

    upstream: str
    what: str
    """The release, for sentences."""
    wanted: Callable[[str], bool]
    """Files to keep while there is room; one that is too large or not what its suffix says is left out."""
    required: str | None
    """A file to keep in any case; what is wrong with it is raised."""
    unpacked: Bound
    """The whole tarball."""
    file: Bound
    """One file."""
    checkpoint: Callable[[], None] = lambda: None
    """Called every 64 KiB; raises to stop."""


def unpack(packed: bytes, unpacking: Unpacking) -> Package:
    """The files of the gzipped tarball `packed` that are wanted.

    Plain code for a worker thread. Raises UpstreamInvalid for what is no gzipped tarball, ends too early, or is beyond
    a bound; reading stops there.
    """
    upstream, what = unpacking.upstream, unpacking.what
    files: dict[str, bytes] = {}
    names: set[str] = set()
    room = MAX_KEPT_SIZE
    try:
        for path, size, read in _members(_Source(packed, unpacking)):
            names.add(path)
            required = path == unpacking.required
            if required and size > unpacking.file.size:
                raise unpacking.file.exceeded(upstream, f"{what}: the file {path}")
            fits = size <= min(room, unpacking.file.size) and len(files) < MAX_KEPT
            if not required and not (fits and unpacking.wanted(path)):
                continue
            try:
                body = checked_body(upstream, f"{what}: the file {path}", read(), media_type_of(path))
            except UpstreamInvalid:
                if required:
                    raise
                continue  # nobody asked for it yet; whoever does is told
            files[path] = body
            room -= 0 if required else size
    except (tarfile.HeaderError, zlib.error, ValueError) as error:
        raise UpstreamInvalid(upstream, f"{what}: the tarball can't be read: {error}") from None
    return Package(files, frozenset(names))


class _Source:
    """The unpacked bytes of a tarball in order, never more of them held than one read asks for and 1 MiB."""

    def __init__(self, packed: bytes, unpacking: Unpacking) -> None:
        self._unpacking = unpacking
        self._pieces = self._decompressed(memoryview(packed))
        self._piece = b""
        self._used = 0
        self._total = 0

    def at_end(self) -> bool:
        """Whether nothing follows; the zero blocks that should end a tarball are not always there."""
        return self._used == len(self._piece) and not self._next()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; raises ValueError where the tarball ends before."""
        taken = bytearray()
        while len(taken) < size:
            part = self._piece[self._used : self._used + size - len(taken)]
            self._used += len(part)
            taken += part
            if not part and not self._next():
                raise ValueError("it ends too early")
        return bytes(taken)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        while size:
            part = min(size, len(self._piece) - self._used)
            self._used += part
            size -= part
            if not part and not self._next():
                raise ValueError("it ends too early")

    def _next(self) -> bool:
        self._piece, self._used = next(self._pieces, b""), 0
        self._total += len(self._piece)
        if self._total > self._unpacking.unpacked.size:
            raise self._unpacking.unpacked.exceeded(self._unpacking.upstream, f"{self._unpacking.what}, unpacked,")
        return bool(self._piece)

    def _decompressed(self, packed: memoryview) -> Iterator[bytes]:
        gunzip = Gunzip()
        for start in range(0, len(packed), _STEP):
            for piece in gunzip.feed(bytes(packed[start : start + _STEP])):
                self._unpacking.checkpoint()
                if piece:
                    yield piece
        gunzip.finish()


def _members(source: _Source) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Each regular file: its path, its size, and how to read it, which may be done before the next one is asked for."""
    extended: dict[str, str] = {}
    for _ in range(MAX_MEMBERS):
        if source.at_end() or not any(block := source.read(_BLOCK)):
            return
        header: Any = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size: int = 0 if header.type in _WITHOUT_DATA else header.size
        if size < 0:
            raise ValueError("a member has a negative size")
        padding = -size % _BLOCK
        if header.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
            if size > _MAX_RECORD:
                raise ValueError("a member's extended header is too long")
            record = source.read(size)
            source.skip(padding)
            if header.type == tarfile.XHDTYPE:
                extended |= _pax(record)
            else:
                extended["path"] = record.rstrip(b"\0").decode("utf-8", "surrogateescape")
            continue
        if "size" in extended:
            size = int(extended["size"]) if extended["size"].isdecimal() else -1
            if not 0 <= size < 1 << 63:
                raise ValueError("a member's extended header has no valid size")
            padding = -size % _BLOCK
        path = _path_in_package(extended.get("path", header.name)) if header.type in _REGULAR else None
        extended = {}
        if path is None:
            source.skip(size + padding)
            continue
        before = _Body(source, size)
        yield path, size, before.read
        source.skip(before.left + padding)
    raise ValueError(f"it has more than {MAX_MEMBERS} members")


class _Body:
    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self.left = size

    def read(self) -> bytes:
        size, self.left = self.left, 0
        return self._source.read(size)


def _pax(record: bytes) -> dict[str, str]:
    """The keywords of an extended header, one `length keyword=value` a line (POSIX.1-2017, pax Extended Header)."""
    values = {}
    while record:
        digits, _, rest = record.partition(b" ")
        if not digits.isdigit() or len(digits) > 6:
            raise ValueError("a member's extended header has no valid length")
        keyword, _, value = rest[: int(digits) - len(digits) - 1].partition(b"=")
        values[keyword.decode("utf-8", "replace")] = value.removesuffix(b"\n").decode("utf-8", "surrogateescape")
        record = record[int(digits) :] if int(digits) else b""
    return values


def _path_in_package(name: str) -> str | None:
    """The path within the package; None for one that is absolute, climbs, or is no plain text."""
    folder, _, path = name.removeprefix("./").partition("/")
    segments = path.split("/")
    if folder in ("", "..") or not path.isprintable() or "\\" in path or not {"", ".", ".."}.isdisjoint(segments):
        return None
    return path
