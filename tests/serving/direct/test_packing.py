from __future__ import annotations

import gzip
import io
import os
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.direct.packing import Coding, packed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WORDS = (b"a component's props: name, type, default. " * 3000)[:100_000]


def unpacked(coding: Coding, body: bytes) -> bytes:
    """Decompressed, in one piece and in several alike."""
    if coding == "gzip":
        whole = zlib.decompress(body, zlib.MAX_WBITS | 16)
        assert gzip.decompress(body) == whole
        one = zlib.decompressobj(zlib.MAX_WBITS | 16)
        assert b"".join(one.decompress(body[at : at + 999]) for at in range(0, len(body), 999)) == whole
        assert one.eof
        assert one.unused_data == b""
        return whole
    whole = zstd.decompress(body)
    with zstd.open(io.BytesIO(body)) as file:
        assert file.read() == whole
    return whole


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("size", [1000, 5000, 65_535, 65_536, 100_000, 1_000_000, 5_000_000])
@pytest.mark.parametrize("beginning", [0, 1, 200, 65_535])
def test_it_is_a_beginning_and_an_end(coding: Coding, size: int, beginning: int) -> None:
    """Of any size that is compressed at all."""
    end, start = (WORDS * 60)[:size], os.urandom(beginning)
    kept = packed(coding, (end[:7], memoryview(end)[7:]))
    assert kept is not None
    assert unpacked(coding, kept.spliced(start)) == start + end


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_one_end_has_many_beginnings(coding: Coding) -> None:
    """What is kept is not changed by being used."""
    kept = packed(coding, (WORDS,))
    assert kept is not None
    for number in range(5):
        start = b"%d:" % number
        assert unpacked(coding, kept.spliced(start)) == start + WORDS
    assert kept.size < len(WORDS) // 10


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("end", [os.urandom(5000), b"x" * 8_000_001, b""], ids=["random", "too large", "empty"])
def test_what_is_not_worth_it_is_left(coding: Coding, end: bytes) -> None:
    """Random bytes do not get smaller; and a window of zstd may have 8 MB at most for HTTP."""
    assert packed(coding, (end,)) is None


@given(
    st.binary(max_size=300), st.binary(min_size=1, max_size=50), st.integers(20, 400), st.sampled_from(["gzip", "zstd"])
)
def test_any_bytes(start: bytes, unit: bytes, times: int, coding: Coding) -> None:
    """Whatever stands in an answer."""
    kept = packed(coding, (unit * times,))
    if kept is not None:
        assert unpacked(coding, kept.spliced(start)) == start + unit * times
