from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import trio

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.profile.upstreams.files import FilesUpstream
from gateway.upstream.files import FilesDocuments
from gateway.upstream.model import Fetched, Validators, Wanted
from tests.unprivileged import unprivileged

LONG_AGO = 1_000_000_000


def documents(root: Path, **more: Any) -> FilesDocuments:
    return FilesDocuments("docs", FilesUpstream.model_validate({"type": "files", "root": str(root), **more}))


def write(path: Path, content: bytes, at: int = LONG_AGO) -> Path:
    """A file that was last written long ago, so that its times can be trusted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


async def settled(path: Path, source: FilesDocuments) -> Fetched:
    """The file once its ctime, which nobody can set, is old enough to tell changes."""
    while True:
        fetched = await source.fetch(Wanted(quote(path.name)))
        if fetched.validators.etag:
            return fetched
        await trio.sleep(0.1)


async def refusal(source: FilesDocuments, path: str, kind: type[UpstreamError] = UpstreamRejected) -> str:
    with pytest.raises(kind) as raised:
        await source.fetch(Wanted(path))
    assert type(raised.value) is kind
    return raised.value.message


async def test_a_file_is_a_document(tmp_path: Path) -> None:
    """With the media type of its suffix; a name is whatever a name can be."""
    write(tmp_path / "guide" / "über uns.md", b"\xef\xbb\xbf# \xc3\x9cber")
    write(tmp_path / "data.json", b'{"a": 1}')
    source = documents(tmp_path)
    fetched = await source.fetch(Wanted(quote("guide/über uns.md")))
    assert (fetched.body, fetched.media_type) == ("# Über".encode(), "text/markdown")
    assert (await source.fetch(Wanted("data.json"))).media_type == "application/json"


async def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """Its state in the file system is the validator; a change of content, also to one of equal length, is another."""
    path = write(tmp_path / "a.md", b"one")
    source = documents(tmp_path)
    first = await settled(path, source)
    again = await source.fetch(Wanted("a.md"), first.validators)
    assert again.not_modified
    assert again.body == b""
    write(path, b"two")
    changed = await source.fetch(Wanted("a.md"), first.validators)
    assert (changed.body, changed.not_modified) == (b"two", False)


async def test_a_file_that_changed_just_now_is_read_each_time(tmp_path: Path) -> None:
    """Two changes within one tick of the file system's clock leave the same times behind."""
    (tmp_path / "a.md").write_bytes(b"one")
    fetched = await documents(tmp_path).fetch(Wanted("a.md"))
    assert fetched.validators == Validators()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/etc/passwd", "a link to an absolute path"),
        ("/proc/self/environ", "a link to an absolute path"),
        ("../secret", "leads out of the folder"),
        ("sub/../../secret", "leads out of the folder"),
        ("loop", "too many links"),
        ("sub", "is a folder"),
        (".", "is a folder"),
    ],
)
async def test_no_link_leads_out(tmp_path: Path, target: str, why: str) -> None:
    """Whether it is the file itself or a folder on the way."""
    write(tmp_path / "secret", b"secret")
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "loop").symlink_to(target)
    assert why in await refusal(documents(root), "loop")


async def test_a_link_on_the_way_does_not_lead_out(tmp_path: Path) -> None:
    """A folder that is a link is walked like its target."""
    write(tmp_path / "outside" / "f", b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "folder").symlink_to("../outside")
    assert "leads out of the folder" in await refusal(documents(root), "folder/f")


async def test_a_link_within_is_followed(tmp_path: Path) -> None:
    """To a file, to a folder, and up and down again as long as it stays inside."""
    write(tmp_path / "v2" / "guide.md", b"guide")
    (tmp_path / "latest").symlink_to("v2")
    (tmp_path / "v2" / "same.md").symlink_to("../latest/./guide.md")
    assert (await documents(tmp_path).fetch(Wanted("latest/same.md"))).body == b"guide"


async def test_a_link_does_not_lead_to_what_is_left_out(tmp_path: Path) -> None:
    """What counts is where it leads."""
    write(tmp_path / ".env", b"SECRET=1")
    (tmp_path / "env.txt").symlink_to(".env")
    source = documents(tmp_path)
    assert "left out by upstreams.docs.include and exclude" in await refusal(source, ".env", UpstreamNotFound)
    assert "left out" in await refusal(source, "env.txt", UpstreamNotFound)


@pytest.mark.parametrize(
    "path",
    [
        "../secret", "%2e%2e/secret", "a/../../secret", "a%2f..%2f..%2fsecret", "..%5csecret", "//etc/passwd", "a//b",
        "%252e%252e/secret", "nul%00.md", "a/", "./a",
    ],
)  # fmt: skip
async def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    """Whatever the spelling."""
    write(tmp_path / "secret", b"secret")
    (tmp_path / "root" / "a").mkdir(parents=True)
    await refusal(documents(tmp_path / "root"), path)


@contextmanager
def special(path: Path, kind: str) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as sock:
        if kind == "a FIFO":
            os.mkfifo(path)
        elif kind == "a socket":
            folder = Path.cwd()
            os.chdir(path.parent)  # the address of a socket may not be long
            try:
                sock.bind(path.name)
            finally:
                os.chdir(folder)
        else:
            path.mkdir()
        yield


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a folder"])
async def test_special_files_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A FIFO that nobody writes to makes nobody wait."""
    with special(tmp_path / "x", kind), trio.fail_after(20):
        message = await refusal(documents(tmp_path), "x")
    assert message == f"'x' is {kind}, and only files within it are read"


async def test_a_device_is_refused(tmp_path: Path) -> None:
    """Where the test may make one; else this is what the profile's check of `root` keeps away."""
    try:
        os.mknod(tmp_path / "null", 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")
    assert "'null' is a device" in await refusal(documents(tmp_path), "null")


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """A missing file, one below a file, and a name longer than names can be; a missing root is the upstream's fault."""
    write(tmp_path / "a.md", b"")
    source = documents(tmp_path)
    for path in ("b.md", "a.md/b.md", "c/d.md", "n" * 300):
        assert "there is no file" in await refusal(source, path, UpstreamNotFound)
    gone = await refusal(documents(tmp_path / "gone"), "a.md", UpstreamUnavailable)
    assert gone == f"the folder {tmp_path / 'gone'} can't be opened: No such file or directory"
    assert "gone is not there" in await refusal(documents(tmp_path / "gone"), "", UpstreamUnavailable)


async def test_a_file_that_may_not_be_read() -> None:
    """Says whose permission is missing."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101  # or nobody could look into it
        write(Path(folder) / "a.md", b"x").chmod(0)
        with unprivileged():
            message = await refusal(documents(Path(folder)), "a.md")
    assert message == "the file a.md may not be read by the gateway's user"


async def test_sizes_are_bounded(tmp_path: Path) -> None:
    """A file as large as allowed is read, a larger one is not; so are lists."""
    write(tmp_path / "a", b"x" * 1000)
    write(tmp_path / "b", b"x" * 1001)
    source = documents(tmp_path, max_size="1KB", max_files=1)
    assert len((await source.fetch(Wanted("a"))).body) == 1000
    assert await refusal(source, "b", UpstreamInvalid) == "the file b is larger than 1KB (upstreams.docs.max_size)"
    assert "more files than 1 (upstreams.docs.max_files)" in await refusal(source, "", UpstreamInvalid)


async def test_text_has_to_be_text(tmp_path: Path) -> None:
    """Markdown is UTF-8, and JSON is JSON."""
    write(tmp_path / "a.md", b"\xff")
    write(tmp_path / "a.json", b"{")
    source = documents(tmp_path)
    assert "is not the utf-8 text" in await refusal(source, "a.md", UpstreamInvalid)
    assert "said it was JSON but is not" in await refusal(source, "a.json", UpstreamInvalid)


async def test_the_list_of_files(tmp_path: Path) -> None:
    """By path, without what is left out; links are not listed; an unchanged list is known by its validator."""
    write(tmp_path / "b" / "two.md", b"22")
    os.utime(tmp_path / "b" / "two.md", ns=(0, LONG_AGO * 10**9 + 5))
    write(tmp_path / "a.md", b"1")
    write(tmp_path / "c.png", b"")
    write(tmp_path / ".git" / "config", b"")
    (tmp_path / "link.md").symlink_to("a.md")
    (tmp_path / os.fsdecode(b"\xff.md")).write_bytes(b"")
    source = documents(tmp_path, include=["**/*.md"], max_files=2)
    fetched = await source.fetch(Wanted(""))
    assert orjson.loads(fetched.body) == {
        "files": [
            {"path": "a.md", "size": 1, "modified": "2001-09-09T01:46:40Z"},
            {"path": "b/two.md", "size": 2, "modified": "2001-09-09T01:46:40.000000005Z"},
        ]
    }
    assert (await source.fetch(Wanted(""), fetched.validators)).not_modified


async def test_a_root_behind_a_link(tmp_path: Path) -> None:
    """Where the root is, the operator says; it may be a link, and `~`."""
    write(tmp_path / "real" / "a.md", b"1")
    (tmp_path / "root").symlink_to("real")
    source = documents(tmp_path / "root")
    assert (await source.fetch(Wanted("a.md"))).body == b"1"
    assert b"a.md" in (await source.fetch(Wanted(""))).body
    assert "~" not in await refusal(documents(Path("~/no-such-folder")), "a", UpstreamUnavailable)


async def test_files_have_no_releases_and_no_queries(tmp_path: Path) -> None:
    """The profile's check says so before; this is for whoever asks all the same."""
    source = documents(tmp_path)
    with pytest.raises(UpstreamNotFound, match="a folder has no releases"):
        await source.fetch(Wanted("", listing=True))
    with pytest.raises(UpstreamNotFound, match="a folder has no releases"):
        source.releases(b"")
    with pytest.raises(UpstreamRejected, match="named by its path, and nothing else"):
        await source.fetch(Wanted("a", query=(("q", "1"),)))


async def test_whoever_swaps_a_folder_for_a_link_gains_nothing(tmp_path: Path) -> None:
    """Many reads against a writer that keeps swapping: each brings the file within, or an error; never the secret."""
    write(tmp_path / "outside" / "f", b"secret")
    root = tmp_path / "root"
    write(root / "real" / "f", b"fine")
    (root / "bad").symlink_to("../outside")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (root / "real").rename(root / "x")
            (root / "bad").rename(root / "real")
            (root / "real").rename(root / "bad")
            (root / "x").rename(root / "real")

    thread = threading.Thread(target=swap)
    thread.start()
    source, seen = documents(root), set()
    try:
        for _ in range(300):
            try:
                seen.add((await source.fetch(Wanted("real/f"))).body)
            except (UpstreamRejected, UpstreamNotFound, UpstreamUnavailable):
                seen.add(b"refused")
    finally:
        over.set()
        thread.join()
    assert seen <= {b"fine", b"refused"}
