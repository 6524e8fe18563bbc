from __future__ import annotations

import sys

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.model import Entry, Priority
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
)


@given(st.text(), entries)
def test_an_entry_survives_the_way_there_and_back(key: str, entry: Entry) -> None:
    """Whatever an entry holds, decoding its row gives the same entry."""
    assert CODEC.decode(key, CODEC.encode(key, entry)) == entry


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
    "a binary header of 4 GB": b"\x9c\xc2\xc6\xff\xff\xff\xff",
    "an extension type": msgpack.packb(msgpack.ExtType(1, b"x")),
    "a map": msgpack.packb({"a": 1}),
    "too few fields": msgpack.packb((False, b"")),
    "trailing bytes": msgpack.packb((False, b"", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "")) + b"\x00",
    "a priority that does not exist": msgpack.packb((False, b"", 0.0, 0.0, 0.0, 0.0, (), 9, False, "", "", "")),
    "a text as payload": msgpack.packb((False, "", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "")),
    "garbage as a zstd frame": msgpack.packb((True, b"garbage", 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", "")),
    "times that are no numbers": msgpack.packb((False, b"", "x", 0.0, 0.0, 0.0, (), 1, False, "", "", "")),
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
    body = msgpack.packb((True, bomb, 0.0, 0.0, 0.0, 0.0, (), 1, False, "", "", ""))
    with pytest.raises(DamagedRowError, match="another size"):
        CODEC.decode("key", _signed(body, size=10))


def test_a_row_of_another_format_is_damage() -> None:
    """A row that an older or newer gateway wrote is not guessed at."""
    row = codec_module._HEADER.pack(codec_module.FORMAT + 1, 0) + b"\x90"
    with pytest.raises(DamagedRowError, match="format 2"):
        CODEC.decode("key", row + codec_module._checksum("key", row))
