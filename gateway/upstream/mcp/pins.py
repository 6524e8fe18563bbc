"""What a server's definitions were when they were accepted, and what has changed since. Pure: `pins_file` keeps them.

A description is read by a model as much as by a person, so a server that changes one after it was looked at can make
the model do something else ("tool poisoning", "rug pull"). A definition is therefore live only as it was accepted.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gateway.printable import printable
from gateway.upstream.mcp.model import KINDS, Definitions, Json, own_name

_LISTED = {
    "resources": ("uri", "name", "title", "description", "mimeType"),
    "templates": ("uriTemplate", "name", "title", "description", "mimeType"),
}
"""What counts of a resource: its size and its date change with its content."""

MAX_GONE = 10_000
"""Most definitions that are remembered though the server lists them no more."""

Trust = Literal["first-use", "declared", "any"]


def digest(kind: str, definition: Mapping[str, Any]) -> str:
    """The hash that stands for a definition, without its `_meta`."""
    return "sha256:" + hashlib.sha256(_text(kind, definition, None).encode()).hexdigest()


def diff(kind: str, accepted: Mapping[str, Any] | None, pending: Mapping[str, Any]) -> str:
    """What has changed, as a unified diff of both as JSON; all of it is new where nothing was accepted."""
    before = _text(kind, accepted, 2).split("\n") if accepted is not None else []
    lines = difflib.unified_diff(before, _text(kind, pending, 2).split("\n"), "accepted", "now", lineterm="", n=2)
    return "\n".join(lines)


def _text(kind: str, definition: Mapping[str, Any], indent: int | None) -> str:
    keys = _LISTED.get(kind)
    counts = {key: value for key, value in definition.items() if (key in keys if keys else key != "_meta")}
    return json.dumps(counts, sort_keys=True, indent=indent, separators=(",", ":") if indent is None else None)


def set_aside_message(upstream: str, kind: str, own: str) -> str:
    """What a caller is told who asks for a definition that is set aside."""
    which = printable(f"{kind}/{own}", 200)
    return (
        f"{which} is set aside: it was never accepted, or its server has changed it since. "
        f"The operator can look at it and accept it: gateway pins accept {upstream} {which}"
    )


@dataclass(frozen=True, slots=True)
class Pin:
    """One definition of a server."""

    accepted: Json | None
    """As it is live; None where none was accepted yet."""
    pending: Json | None = None
    """As the server lists it now, where that is not what was accepted."""
    listed: bool = True
    """Whether the server lists it."""

    @property
    def live(self) -> bool:
        """Whether it is to be listed and called."""
        return self.listed and self.pending is None and self.accepted is not None


@dataclass(frozen=True, slots=True)
class Change:
    """A definition that is set aside, and was not before."""

    kind: str
    own: str
    accepted: Json | None
    pending: Json


@dataclass(frozen=True, slots=True)
class Pins:
    """Every definition of one server, by kind and the server's own name, in the server's order."""

    kinds: Mapping[str, Mapping[str, Pin]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def each(self) -> Iterator[tuple[str, str, Pin]]:
        """Every pin with its kind and name."""
        for kind in KINDS:
            for own, pin in self.kinds[kind].items():
                yield kind, own, pin

    @property
    def known(self) -> bool:
        """Whether the server was ever seen."""
        return any(self.kinds.values())

    def live(self) -> Definitions:
        """What may be listed and called."""
        found = {
            kind: tuple(pin.accepted for pin in self.kinds[kind].values() if pin.live and pin.accepted is not None)
            for kind in KINDS
        }
        return Definitions(found["tools"], found["resources"], found["templates"], found["prompts"])

    def set_aside(self, kind: str) -> frozenset[str]:
        """The server's own names of the definitions that are neither listed nor called."""
        return frozenset(own for own, pin in self.kinds[kind].items() if pin.listed and not pin.live)

    def reviewed(self, now: Definitions, trust: Trust, declared: Mapping[str, str]) -> tuple[Pins, tuple[Change, ...]]:
        """The pins after the server has listed `now`, and what is set aside from now on."""
        kinds: dict[str, dict[str, Pin]] = {}
        changes: list[Change] = []
        for kind in KINDS:
            pins: dict[str, Pin] = {}
            for definition in now.of(kind):
                own = own_name(kind, definition)
                if own in pins:
                    continue  # listed twice: the first counts
                before = self.kinds[kind].get(own)
                pins[own] = pin = _pin(kind, definition, before, trust, declared.get(f"{kind}/{own}"))
                if pin.pending is not None and (before is None or before.pending is None or _differ(kind, before, pin)):
                    changes.append(Change(kind, own, pin.accepted, pin.pending))
            gone = [(own, pin) for own, pin in self.kinds[kind].items() if own not in pins]
            pins.update((own, replace(pin, listed=False)) for own, pin in gone[-MAX_GONE:])
            kinds[kind] = pins
        return Pins(kinds), tuple(changes)

    def accepting(self, names: frozenset[str] | None) -> tuple[Pins, tuple[str, ...]]:
        """The pins with what is pending accepted, of `names` ("tools/echo") or all; and which those were."""
        accepted: list[str] = []
        kinds: dict[str, dict[str, Pin]] = {kind: dict(self.kinds[kind]) for kind in KINDS}
        for kind, own, pin in self.each():
            if pin.pending is not None and (names is None or f"{kind}/{own}" in names):
                kinds[kind][own] = replace(pin, accepted=pin.pending, pending=None)
                accepted.append(f"{kind}/{own}")
        return Pins(kinds), tuple(accepted)

    def without(self, names: frozenset[str]) -> Pins:
        """The pins as if the definitions of `names` had never been seen."""
        return Pins(
            {
                kind: {own: pin for own, pin in self.kinds[kind].items() if f"{kind}/{own}" not in names}
                for kind in KINDS
            }
        )


def _differ(kind: str, before: Pin, pin: Pin) -> bool:
    return digest(kind, before.pending or {}) != digest(kind, pin.pending or {})


def _pin(kind: str, definition: Json, before: Pin | None, trust: Trust, declared: str | None) -> Pin:
    accepted = before.accepted if before is not None else None
    now = digest(kind, definition)
    if declared is not None:
        trusted = now == declared
    elif trust == "declared":
        trusted = False
    elif trust == "any":
        trusted = True
    else:
        # Seen for the first time, or as it was then. What was never accepted is not, because it was seen before.
        trusted = before is None if accepted is None else digest(kind, accepted) == now
    return Pin(definition) if trusted else Pin(accepted, definition)
