from __future__ import annotations

import hashlib

import pytest

from gateway.errors import UpstreamInvalid
from gateway.upstream.integrity import verify
from gateway.upstream.packument import Dist
from tests.fakes.registry import sri

PACKED = b"a tarball"
SHA1 = hashlib.sha1(PACKED).hexdigest()
OTHER = b"another tarball"


@pytest.mark.parametrize(
    "dist",
    [
        Dist("", sri(PACKED)),
        Dist("", sri(PACKED, "sha256")),
        Dist("", sri(PACKED, "sha1")),
        Dist("", f"{sri(OTHER)} {sri(PACKED)}"),
        Dist("", f"{sri(OTHER, 'sha1')} {sri(PACKED)}"),
        Dist("", f"{sri(PACKED)}?ct=application/octet-stream"),
        Dist("", f"md5-x sha512-! {sri(PACKED)}"),
        Dist("", shasum=SHA1),
        Dist("", sri(PACKED), "00"),
    ],
)
def test_a_hash_that_holds(dist: Dist) -> None:
    """Any of the strongest algorithm; SHA-1 only where there is no integrity."""
    verify("npm", "ui 1.0.0", PACKED, dist)


@pytest.mark.parametrize(
    ("dist", "algorithm"),
    [
        (Dist("", sri(OTHER)), "sha512"),
        (Dist("", f"{sri(PACKED, 'sha1')} {sri(OTHER)}"), "sha512"),
        (Dist("", sri(OTHER), SHA1), "sha512"),
        (Dist("", shasum=hashlib.sha1(OTHER).hexdigest()), "sha1"),
        (Dist("", "sha512-"), "sha512"),
    ],
)
def test_a_hash_that_does_not_hold(dist: Dist, algorithm: str) -> None:
    """A weaker hash does not make up for it."""
    with pytest.raises(UpstreamInvalid) as raised:
        verify("npm", "ui 1.0.0", PACKED, dist)
    assert str(raised.value) == f"npm: ui 1.0.0: the tarball does not have the {algorithm} hash that was promised"


@pytest.mark.parametrize("dist", [Dist(""), Dist("", "md5-abc"), Dist("", "sha512-!!"), Dist("", shasum="xyz")])
def test_no_hash_at_all(dist: Dist) -> None:
    """What can't be checked is not unpacked."""
    with pytest.raises(UpstreamInvalid, match=r"^npm: ui 1\.0\.0: the registry names no hash for its tarball that"):
        verify("npm", "ui 1.0.0", PACKED, dist)
