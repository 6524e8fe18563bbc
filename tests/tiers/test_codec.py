from __future__ import annotations

import hashlib
import sys

import msgpack
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.pipeline.model import Entry, Outcome, Priority
from gateway.tiers import codec as codec_module
from gateway.tiers.codec import Codec, DamagedRowError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODEC = Codec(threshold=1000, gain=0.1)
times = st.floats(allow_nan=False)
entries = st.builds(
    Entry,
    payload=st.binary(max_size=3000),
    stored_at=times,
    fresh_until=times,
    stale_while_revalidate=times,
    stale_if_error=times,
    tags=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=5).map(tuple),
    priority=st.sampled_from(Priority),
    immutable=st.booleans(),
    media_type=st.text(st.characters(codec="utf-8"), max_size=20),
    etag=st.text(st.characters(codec="utf-8"), max_size=20),
    last_modified=st.text(st.characters(codec="utf-8"), max_size=20),
    outcome=st.sampled_from(Outcome),
)
stamps = st.integers(0, 2**63 - 1)


@given(st.text(), entries, stamps)
def test_an_entry_survives_the_way_there_and_back(key: str, entry: Entry, stamp: int) -> None:
    """Whatever an entry holds, decoding its row gives the same entry."""
    assert CODEC.decode(key, CODEC.encode(key, entry, stamp), stamp) == entry


@given(entries, stamps, stamps)
def test_a_row_does_not_decode_with_another_stamp(entry: Entry, stamp: int, other: int) -> None:
    """The checksum covers what the tier keeps beside the row, so damage there is noticed, too."""
    assume(stamp != other)
    with pytest.raises(DamagedRowError, match="checksum"):
        CODEC.decode("key", CODEC.encode("key", entry, stamp), other)


@given(st.lists(entries, max_size=5), st.integers(1, 3))
def test_packers_and_compressors_are_reused_without_a_trace(several: list[Entry], size: int) -> None:
    """An entry that comes after others, and after one that can't be encoded, has the row that it has alone."""
    codec = Codec(threshold=100, gain=0.1, pool_size=size)
    with pytest.raises(UnicodeEncodeError):
        codec.encode("k", Entry(b"x" * 1000, 0, 0, tags=("\ud800",)))
    for entry in several:
        assert codec.encode("k", entry) == Codec(threshold=100, gain=0.1).encode("k", entry)


def test_only_so_many_idle_ones_are_kept() -> None:
    """The pool keeps what it is told to keep, however many were in use at once."""
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    pool = codec_module._Pool(2, make)
    for thing in [pool.take() for _ in range(5)]:
        pool.give(thing)
    again = [pool.take() for _ in range(3)]
    assert len(made) == 6
    assert len(set(map(id, again))) == 3


def test_a_row_of_format_1_still_decodes() -> None:
    """Rows from before outcomes and stamps are those of answers, and good for the first stamp alone."""
    body = msgpack.packb((False, b"old", 1.0, 2.0, 3.0, 4.0, ("t",), 2, False, "text/plain", "e", "m"))
    row = codec_module._HEADER.pack(1, 3) + body
    row += hashlib.blake2b(row + b"key", digest_size=16).digest()
    expected = Entry(b"old", 1.0, 2.0, 3.0, 4.0, ("t",), Priority.HIGH, False, "text/plain", "e", "m")
    assert CODEC.decode("key", row) == expected
    with pytest.raises(DamagedRowError, match="checksum"):
        CODEC.decode("key", row, 1)


def test_a_payload_that_no_row_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error to encode what would be taken for damage when it is read."""
    monkeypatch.setattr(codec_module, "MAX_PAYLOAD", 10)
    with pytest.raises(ValueError, match="11 bytes, and the most is 10"):
        CODEC.encode("key", Entry(b"x" * 11, 0, 0))


def test_a_payload_is_compressed_from_the_threshold_on_when_it_saves_enough() -> None:
    """Short ones and those that zstd can't shrink by a tenth are kept as they are."""
    noise = bytes((i * i * 31 + i // 7 * 13 + (i * 2654435761 >> 13)) % 256 for i in range(2000))
    repetitive, short = b"a" * 2000, b"a" * 999
    sizes = [len(CODEC.encode("k", Entry(payload, 0, 0))) for payload in (repetitive, short, noise)]
    assert sizes[0] < 200
    assert sizes[1] > 999
    assert sizes[2] > 2000


@given(entries, st.data())
def test_no_flipped_bit_goes_unnoticed(entry: Entry, data: st.DataObject) -> None:
    """A row with any one bit changed does not decode."""
    row = bytearray(CODEC.encode("key", entry))
    position = data.draw(st.integers(0, len(row) * 8 - 1))
    row[position // 8] ^= 1 << position % 8
    with pytest.raises(DamagedRowError):
        CODEC.decode("key", bytes(row))


def test_a_row_is_not_the_entry_of_another_key() -> None:
    """A row that ended up under a foreign key is damaged, not a wrong answer."""
    with pytest.raises(DamagedRowError, match="checksum"):
        CODEC.decode("other", CODEC.encode("key", Entry(b"x", 0, 0)))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_damage(row: bytes) -> None:
    """Anything that is no row is refused as such, whatever it is."""
    with pytest.raises(DamagedRowError):
        CODEC.decode("key", row)


def _signed(body: bytes, size: int = 0) -> bytes:
    """A row with a right checksum around any body, as somebody who writes to the file could make it."""
    row = codec_module._HEADER.pack(codec_module.FORMAT, size) + body
    return row + codec_module._checksum("key", row)


HOSTILE = {
    "an array header of 4 GB": b"\xdd\xff\xff\xff\xff",
    "a binary header of 4 GB": b"\x9d\xc2\xc6\xff\xff\xff\xff",
    "an extension type": msgpack.packb(msgpack.ExtType(1, b"x")),
    "a map": msgpack.packb({"a": 1}),
    "too few fields": msgpack.packb((False, b"")),
    "trailing bytes": msgpack.packb((False, b"", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "", 0)) + b"\x00",
    "a priority that does not exist": msgpack.packb((False, b"", 0.0, 0.0, 0.0, 0.0, (), 9, False, "", "", "", 0)),
    "a text as payload": msgpack.packb((False, "", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "", 0)),
    "garbage as a zstd frame": msgpack.packb((True, b"garbage", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "", 0)),
    "times that are no numbers": msgpack.packb((False, b"", "x", 0.0, 0.0, 0.0, (), 1, False, "", "", "", 0)),
    "an outcome that does not exist": msgpack.packb((False, b"", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "", 7)),
    "nothing": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_damage(body: bytes) -> None:
    """Even with a right checksum, a body that is not what `encode` makes is refused."""
    with pytest.raises(DamagedRowError):
        CODEC.decode("key", _signed(body))


def test_a_zstd_frame_that_holds_more_than_it_says_is_cut_and_refused() -> None:
    """A bomb of 100 MB in a row that states 10 bytes is not unpacked beyond them."""
    bomb = zstd.compress(bytes(100_000_000))
    body = msgpack.packb((True, bomb, 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "", 0))
    with pytest.raises(DamagedRowError, match="another size"):
        CODEC.decode("key", _signed(body, size=10))


def test_a_row_of_another_format_is_damage() -> None:
    """A row that an older or newer gateway wrote is not guessed at."""
    row = codec_module._HEADER.pack(codec_module.FORMAT + 1, 0) + b"\x90"
    with pytest.raises(DamagedRowError, match="format 3"):
        CODEC.decode("key", row + codec_module._checksum("key", row))
