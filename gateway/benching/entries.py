"""Entries to be kept: what a tool answers for components that differ in their names alone."""

from __future__ import annotations

import orjson

from gateway.benching.surroundings import document
from gateway.pipeline.clock import Clock
from gateway.pipeline.freshness import new_entry
from gateway.pipeline.model import Entry, Policy

_POLICY = Policy("kept", ttl=3600.0)


def key_of(number: int) -> str:
    """The key of the entry of that number."""
    return f'result:read_file@0123456789abcdef:{{"limit":20,"name":"component-{number}"}}'


def entry_of(number: int, clock: Clock, *tags: str) -> Entry:
    """An entry of some 2 kB, which compresses as answers do."""
    found = document(f"component-{number}")
    text = orjson.dumps(found["members"][:10]).decode()
    payload = orjson.dumps({"content": [{"type": "text", "text": text}], "isError": False})
    return new_entry(payload, _POLICY, clock(), tags=(f"component:component-{number}", *tags))


def entries(count: int, clock: Clock) -> dict[str, Entry]:
    """So many entries by their keys."""
    return {key_of(number): entry_of(number, clock) for number in range(count)}
