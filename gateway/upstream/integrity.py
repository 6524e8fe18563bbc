"""Whether a download is what the registry promised."""

from __future__ import annotations

import base64
import binascii
import hashlib

from gateway.errors import UpstreamInvalid
from gateway.upstream.packument import Dist

_STRONGEST_FIRST = ("sha512", "sha384", "sha256", "sha1")


def verify(upstream: str, what: str, packed: bytes, dist: Dist) -> None:
    """Raise UpstreamInvalid unless `packed` has a hash that `dist` names.

    Of several hashes those of the strongest algorithm count, and any of these will do (W3C Subresource Integrity,
    section 3.3.4). Unlike a browser this also refuses where no known hash is given: nothing unverified is unpacked.
    """
    promised = _promised(dist)
    for algorithm in _STRONGEST_FIRST:
        digests = [digest for name, digest in promised if name == algorithm]
        if not digests:
            continue
        if hashlib.new(algorithm, packed, usedforsecurity=algorithm != "sha1").digest() in digests:
            return
        raise UpstreamInvalid(upstream, f"{what}: the tarball does not have the {algorithm} hash that was promised")
    raise UpstreamInvalid(upstream, f"{what}: the registry names no hash for its tarball that could be checked")


def _promised(dist: Dist) -> list[tuple[str, bytes]]:
    if not dist.integrity:
        try:
            return [("sha1", bytes.fromhex(dist.shasum))] if dist.shasum else []
        except ValueError:
            return []
    promised = []
    for each in dist.integrity.split():
        algorithm, _, digest = each.partition("-")
        try:
            promised.append((algorithm, base64.b64decode(digest.partition("?")[0], validate=True)))
        except (binascii.Error, ValueError):
            continue  # a hash that can't be read promises nothing; if it was the only one, that is refused
    return promised
