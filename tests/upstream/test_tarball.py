from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamInvalid
from gateway.upstream import tarball as limits
from gateway.upstream.body import Bound
from gateway.upstream.tarball import Package, Unpacking, unpack
from tests.fakes.registry import member, package, tarball


def opened(packed: bytes, required: str | None = None, **more: Any) -> Package:
    values: dict[str, Any] = {
        "wanted": lambda _path: True,
        "unpacked": Bound(50_000_000, "max_unpacked_size"),
        "file": Bound(1_000_000, "max_response_size"),
        **more,
    }
    return unpack(packed, Unpacking("npm", "ui 1.0.0", required=required, **values))


def refusal(packed: bytes, required: str | None = None, **more: Any) -> str:
    with pytest.raises(UpstreamInvalid) as raised:
        opened(packed, required, **more)
    return str(raised.value)


def test_wanted_files_are_kept_without_the_first_folder() -> None:
    """What is not wanted is known by name only; JSON and text are checked."""
    packed = package({"a.json": b"{}", "docs/b.md": "é".encode(), "c.png": b"\xff\0"})
    got = opened(packed, wanted=lambda path: path != "c.png")
    assert got.files == {"a.json": b"{}", "docs/b.md": "é".encode()}
    assert got.names == {"a.json", "docs/b.md", "c.png"}


def test_whatever_the_first_folder_is_called() -> None:
    """Most packages call it `package`, some do not."""
    packed = tarball([member("ui-1.0.0/a.json", b"{}"), member("./package/b.json", b"[]")])
    assert opened(packed).files == {"a.json": b"{}", "b.json": b"[]"}


def test_long_names() -> None:
    """Names beyond a header's 100 bytes, as pax records and as GNU members."""
    path = "package/" + "/".join(["folder"] * 40) + "/Ümlaut.json"
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        header, body = member(path, b"{}")
        archive.addfile(header, io.BytesIO(body))
    for packed in (gzip.compress(plain.getvalue()), tarball([member(path, b"{}")])):
        assert list(opened(packed).files) == [path.removeprefix("package/")]


@pytest.mark.parametrize(
    "path",
    ["../evil", "package/../../evil", "/etc/passwd", "package/..", "package/a/./b", "package//a", "package/a\\b",
     "package/a\nb", "evil", "package/", "//a/b", "package/a/../b"],
)  # fmt: skip
def test_paths_are_not_trusted(path: str) -> None:
    """What climbs, is absolute or is no plain name is not there."""
    got = opened(tarball([member(path, b"{}"), member("package/a.json", b"{}")]))
    assert got.names == {"a.json"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_only_regular_files_exist(kind: bytes) -> None:
    """A link to another file of the machine, or of the package, is not followed, and not a file."""
    link = member("package/a.json", type=kind, linkname="/etc/passwd")
    got = opened(tarball([link, member("package/b.json", b"{}")]))
    assert got.names == {"b.json"}


def test_a_link_with_a_size_has_no_data() -> None:
    """Old archives state the target's size; the next member follows at once."""
    header = tarfile.TarInfo("package/a.json")
    header.type, header.size, header.linkname = tarfile.LNKTYPE, 4096, "package/b.json"
    blocks = header.tobuf(tarfile.USTAR_FORMAT) + b"".join(_blocks("package/b.json", b"{}"))
    assert opened(gzip.compress(blocks)).files == {"b.json": b"{}"}


def _blocks(path: str, body: bytes) -> Iterator[bytes]:
    header, _ = member(path, body)
    yield header.tobuf(tarfile.USTAR_FORMAT)
    yield body + bytes(-len(body) % 512)


def test_a_file_beyond_the_limit() -> None:
    """It is left out; and if it is the one that was asked for, that is said."""
    packed = package({"a.json": b'"' + b"a" * 2_000_000 + b'"', "b.json": b"{}"})
    assert opened(packed).files == {"b.json": b"{}"}
    assert refusal(packed, "a.json") == (
        "npm: ui 1.0.0: the file a.json is larger than 1MB (upstreams.npm.max_response_size)"
    )


def test_a_file_that_is_not_what_its_suffix_says() -> None:
    """It is left out; and if it is the one that was asked for, that is said."""
    packed = package({"a.json": b"<p>", "b.md": b"\xff", "c.json": b"{}"})
    assert opened(packed).files == {"c.json": b"{}"}
    assert refusal(packed, "a.json").startswith("npm: ui 1.0.0: the file a.json said it was JSON but is not: ")
    assert refusal(packed, "b.md") == (
        "npm: ui 1.0.0: the file b.md is not the utf-8 text that it said it was: byte 0: invalid start byte"
    )


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and bytes are bounded together; the one that was asked for is kept in any case."""
    many = package({f"{number:04}.json": b"{}" for number in range(limits.MAX_KEPT + 10)})
    assert len(opened(many).files) == limits.MAX_KEPT
    assert len(opened(many).names) == limits.MAX_KEPT + 10
    assert "2009.json" in opened(many, "2009.json").files
    large = package({f"{number}.txt": b"x" * 900_000 for number in range(80)})
    kept = opened(large, unpacked=Bound(100_000_000, "max_unpacked_size")).files
    assert len(kept) == limits.MAX_KEPT_SIZE // 900_000


def test_a_bomb_is_cut() -> None:
    """100 MB of zeros, in one member or in padding, from 100 kB: reading stops at the limit, and memory is bounded."""
    header = tarfile.TarInfo("package/zeros")
    header.size = 10_000_000_000
    bomb = gzip.compress(header.tobuf() + b"\0" * 100_000_000)
    assert len(bomb) < 120_000
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        wanted = "npm: ui 1.0.0, unpacked, is larger than 50MB (upstreams.npm.max_unpacked_size)"
        assert refusal(bomb) == wanted
        assert tracemalloc.get_traced_memory()[1] - before < 8_000_000
    finally:
        tracemalloc.stop()


def test_ten_gigabytes_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that is only said costs nothing: the tarball ends too early."""
    header = tarfile.TarInfo("package/a.json")
    header.size = 10_000_000_000
    assert refusal(gzip.compress(header.tobuf())) == "npm: ui 1.0.0: the tarball can't be read: it ends too early"
    assert "the file a.json is larger than 1MB" in refusal(gzip.compress(header.tobuf()), "a.json")


def test_a_million_members() -> None:
    """Reading stops at the hundred-thousandth."""
    block = tarfile.TarInfo("package/a").tobuf()
    packed = gzip.compress(block * (limits.MAX_MEMBERS + 1), 1)
    wanted = "npm: ui 1.0.0: the tarball can't be read: it has more than 100000 members"
    assert refusal(packed, unpacked=Bound(10**9, "max_unpacked_size")) == wanted


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_extended_header(kind: bytes) -> None:
    """A name of a gigabyte is not read into memory."""
    header = tarfile.TarInfo("package/a")
    header.type, header.size = kind, 1_000_000_000
    wanted = "npm: ui 1.0.0: the tarball can't be read: a member's extended header is too long"
    assert refusal(gzip.compress(header.tobuf())) == wanted


@pytest.mark.parametrize(
    "record",
    [b"x path=a\n", b"99999999 path=a\n", b"-5 path=a\n", b" path=a\n", b"0 path=a\n" * 9, b"12 size=-1\n\n", b"\xff"],
)
def test_a_broken_extended_header(record: bytes) -> None:
    """No loop, no crash: it can't be read, or says nothing."""
    header = tarfile.TarInfo("package/a")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    blocks = header.tobuf() + record + bytes(-len(record) % 512) + b"".join(_blocks("package/b.json", b"{}"))
    try:
        assert opened(gzip.compress(blocks)).names <= {"b.json", "a"}
    except UpstreamInvalid as refused:
        assert "the tarball can't be read: a member's extended header" in str(refused)  # noqa: PT017


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda packed: b"no gzip at all", "Error -3 while decompressing data: incorrect header check"),
        (lambda packed: packed[: len(packed) // 2], "the compressed data ends too early"),
        (lambda packed: gzip.compress(b"x" * 512), "invalid header"),
        (lambda packed: gzip.compress(gzip.decompress(packed)[:600]), "it ends too early"),
    ],
)
def test_what_is_no_tarball(spoil: Callable[[bytes], bytes], reason: str) -> None:
    """The reason is in the sentence."""
    packed = package({"a.json": b'"' + bytes(range(97, 123)) * 20 + b'"'})
    assert refusal(spoil(packed)) == f"npm: ui 1.0.0: the tarball can't be read: {reason}"


def test_a_tarball_without_an_end_is_whole() -> None:
    """Some packers leave out the two blocks of zeros."""
    assert opened(gzip.compress(b"".join(_blocks("package/a.json", b"{}")))).files == {"a.json": b"{}"}


def test_it_can_be_stopped() -> None:
    """The checkpoint is called while decompressing, and what it raises ends the work."""

    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        opened(package({"a.json": b"{}"}), checkpoint=stop)


@given(st.data())
def test_any_damage_is_an_upstream_error(data: st.DataObject) -> None:
    """Bytes changed anywhere in the tar: files, or UpstreamInvalid; no path that climbs."""
    plain = bytearray(gzip.decompress(package({"a.json": b"{}", "docs/b.md": b"text"})))
    for _ in range(data.draw(st.integers(1, 5))):
        plain[data.draw(st.integers(0, 3000))] = data.draw(st.integers(0, 255))
    try:
        got = opened(gzip.compress(bytes(plain), 0))
    except UpstreamInvalid:
        return
    assert all(".." not in name.split("/") and not name.startswith("/") for name in got.names)
