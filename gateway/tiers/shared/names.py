"""The names of keys in the engine, all under one prefix."""

from __future__ import annotations

import hashlib


class Names:
    """What the keys of one `cache.shared.prefix` are called.

    What an entry, a lease or a bucket is of stands in its name as a hash, since it may be long and say who asks. An
    entry's row is bound to its whole key by its checksum, so a name that two keys shared would be a miss.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.channel = f"{prefix}:news"
        """Where purges are published."""
        self._state, self._marks = f"{prefix}:state", f"{prefix}:marks"
        self.purges = [self._state, self._marks, f"{prefix}:purges"]
        """The keys of scripts about purges."""

    def entry(self, key: str) -> list[str]:
        """The keys of scripts about an entry."""
        return [self._state, self._marks, f"{self._prefix}:entry:{_hash(key)}"]

    def lease(self, key: str) -> list[str]:
        """The keys of a lease: itself, and how its last holder failed."""
        name = _hash(key)
        return [f"{self._prefix}:lease:{name}", f"{self._prefix}:failure:{name}"]

    def bucket(self, kind: str, name: str) -> str:
        """The key of a token bucket."""
        return f"{self._prefix}:bucket:{kind}:{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
