"""`type = "files"`: the files of a folder, and nothing outside it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import orjson
import trio

from gateway.errors import UpstreamNotFound, UpstreamRejected
from gateway.packed import packed_json
from gateway.printable import printable
from gateway.profile.upstreams.files import FilesUpstream
from gateway.upstream.address import checked_path
from gateway.upstream.content import checked_body, media_type_of
from gateway.upstream.folder import Folder
from gateway.upstream.glob import Glob
from gateway.upstream.model import JSON, Fetched, Validators, Wanted
from gateway.upstream.versions import SemanticReleases

_THREADS = 8
"""Files that are read at once. More would not make one disk faster."""


class FilesDocuments:
    """The files under one folder. It holds nothing open between two fetches; safe for concurrent use.

    A document's validator is what the file system knows of the file, so to look whether a kept document still holds
    takes the opening of the file and no reading. The empty path is the list of all files:
    `{"files": [{"path", "size", "modified"}]}`, ordered by path.
    """

    def __init__(self, name: str, section: FilesUpstream) -> None:
        self.name = name
        root = Path(section.root).expanduser().absolute()
        self.policies = ()
        self.identity = identity_of(section)
        self._section = section
        self._folder = Folder(name, root, max_size=section.max_size, max_files=section.max_files)
        self._include = [Glob(pattern) for pattern in section.include]
        self._exclude = [Glob(pattern) for pattern in section.exclude]
        whole = (pattern.removesuffix("/**") for pattern in section.exclude if pattern.endswith("/**"))
        self._exclude_folders = [Glob(pattern) for pattern in whole]
        self._threads = trio.CapacityLimiter(_THREADS)

    async def fetch(self, wanted: Wanted, validators: Validators | None = None) -> Fetched:
        """The file at `wanted.path`, or the list of files; text is UTF-8, and JSON is JSON.

        Raises UpstreamError. Cancelling stops the waiting; a thread that hangs in a broken file system is left behind.
        """
        if wanted.listing:
            raise self._no_releases()
        if wanted.version is not None or wanted.query or wanted.headers:
            raise UpstreamRejected(self.name, "a file is named by its path, and nothing else")
        known = validators.etag if validators is not None else ""
        path = unquote(checked_path(self.name, wanted.path), errors="surrogateescape")
        work = partial(self._read, path, known) if path else partial(self._list, known)
        return await trio.to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)

    def releases(self, listing: bytes) -> SemanticReleases:
        """Nothing: a folder has no releases, so this raises UpstreamNotFound."""
        raise self._no_releases()

    def _read(self, path: str, known: str) -> Fetched:
        self._refuse_left_out(path, path)
        read = self._folder.read(path, known)
        self._refuse_left_out(read.path, path)  # where links have led
        if read.content is None:
            return Fetched(b"", validators=Validators(known), not_modified=True)
        media_type = media_type_of(path)
        body = checked_body(self.name, f"the file {printable(path)}", read.content, media_type)
        return Fetched(body, media_type, Validators(read.etag))

    def _list(self, known: str) -> Fetched:
        files = [
            {"path": found.path, "size": found.size, "modified": _time(found.modified)}
            for found in self._folder.files(self._is_wanted, self._is_left_out)
        ]
        body = packed_json({"files": files})
        etag = hashlib.blake2b(body, digest_size=16).hexdigest()
        if etag == known:
            return Fetched(b"", validators=Validators(etag), not_modified=True)
        return Fetched(body, JSON, Validators(etag))

    def _is_wanted(self, path: str) -> bool:
        included = not self._include or any(glob.matches(path) for glob in self._include)
        return included and not any(glob.matches(path) for glob in self._exclude)

    def _is_left_out(self, folder: str) -> bool:
        return any(glob.matches(folder) for glob in self._exclude_folders)

    def _refuse_left_out(self, path: str, asked: str) -> None:
        if not self._is_wanted(path):
            keys = f"upstreams.{self.name}.include and exclude"
            raise UpstreamNotFound(self.name, f"the file {printable(asked)} is left out by {keys}")

    def _no_releases(self) -> UpstreamNotFound:
        return UpstreamNotFound(self.name, "a folder has no releases; leave version out of the fetch")


def _time(nanoseconds: int) -> str:
    """RFC 3339, with every digit there is: two changes within a second have to differ."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
    return f"{whole}.{fraction:09d}Z" if fraction else f"{whole}Z"


def identity_of(section: FilesUpstream) -> str:
    """A short hash of what decides which document a `Wanted` means: the folder."""
    root = Path(section.root).expanduser().absolute()
    return hashlib.blake2b(orjson.dumps([section.type, str(root)]), digest_size=8).hexdigest()
