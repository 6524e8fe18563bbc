from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.upstream.mcp.model import KINDS, Definitions
from gateway.upstream.mcp.pins import Pin, Pins, diff, digest
from gateway.upstream.mcp.pins_file import PinsFile
from tests.fakes.mcp_rig import tool

A, B = tool("a"), tool("b")
OTHER = tool("a", description="other")


def seen(
    *tools: dict[str, Any], before: Pins | None = None, trust: Any = "first-use", declared: dict[str, str] | None = None
) -> Pins:
    return (before or Pins()).reviewed(Definitions(tools), trust, declared or {})[0]


def live(pins: Pins) -> list[str]:
    return [definition["name"] for definition in pins.live().tools]


def test_trust_on_first_use() -> None:
    """What is new is live at once, in the server's order."""
    pins, changes = Pins().reviewed(Definitions((B, A)), "first-use", {})
    assert live(pins) == ["b", "a"]
    assert changes == ()


def test_a_change_is_set_aside_and_told_once() -> None:
    """The others stay live; a second look at the same change is no news, another change is."""
    pins, (change,) = seen(A, B).reviewed(Definitions((OTHER, B)), "first-use", {})
    assert (change.kind, change.own, change.accepted, change.pending) == ("tools", "a", A, OTHER)
    assert live(pins) == ["b"]
    assert pins.set_aside("tools") == {"a"}
    again, told = pins.reviewed(Definitions((OTHER, B)), "first-use", {})
    assert (live(again), told) == (["b"], ())
    assert len(again.reviewed(Definitions((tool("a", description="third"), B)), "first-use", {})[1]) == 1


def test_what_changes_back_is_live_again() -> None:
    """It is what was accepted."""
    assert live(seen(A, before=seen(OTHER, before=seen(A)))) == ["a"]


def test_what_goes_and_comes_back_changed_is_set_aside() -> None:
    """To leave the list for a moment makes nothing new."""
    gone = seen(B, before=seen(A, B))
    assert live(gone) == ["b"]
    assert live(seen(OTHER, B, before=gone)) == ["b"]
    assert live(seen(A, B, before=gone)) == ["a", "b"]


def test_accepting() -> None:
    """What is pending becomes what is live: all of it, or what is named."""
    pins = seen(OTHER, tool("b", description="x"), before=seen(A, B))
    every, names = pins.accepting(None)
    assert (live(every), names) == (["a", "b"], ("tools/a", "tools/b"))
    one, names = pins.accepting(frozenset({"tools/b"}))
    assert (live(one), names) == (["b"], ("tools/b",))
    assert live(seen(OTHER, tool("b", description="x"), before=one)) == ["b"]


def test_declared_trust() -> None:
    """Nothing is live but what the profile names by hash."""
    pins = seen(A, B, trust="declared", declared={f"tools/{name}": digest("tools", A) for name in "ab"})
    assert live(pins) == ["a"]
    assert pins.set_aside("tools") == {"b"}
    assert live(seen(A, trust="declared")) == []
    assert live(seen(A, before=seen(A, trust="declared"))) == [], "it was seen, and never accepted"


def test_a_declared_pin_holds_whatever_was_accepted() -> None:
    """Under any trust."""
    for trust in ("first-use", "any"):
        assert live(seen(A, B, before=seen(A), trust=trust, declared={"tools/a": digest("tools", OTHER)})) == ["b"]


def test_any_trust() -> None:
    """Whatever the server lists is live."""
    assert live(seen(OTHER, before=seen(A), trust="any")) == ["a"]


def test_what_counts_of_a_definition() -> None:
    """All of a tool but its `_meta`; of a resource not its size and date, which change with its content."""
    assert digest("tools", A) == digest("tools", {**A, "_meta": {"x": 1}})
    assert digest("tools", A) == digest("tools", dict(reversed(A.items())))
    assert digest("tools", A) != digest("tools", {**A, "annotations": {"readOnlyHint": True}})
    resource = {"uri": "x://a", "name": "a"}
    assert digest("resources", resource) == digest("resources", {**resource, "size": 5})
    assert digest("resources", resource) != digest("resources", {**resource, "description": "read me first"})


def test_a_readable_difference() -> None:
    """Lines of JSON that came and went."""
    assert diff("tools", A, OTHER).splitlines()[3:5] == [" {", '-  "description": "a tool",']
    assert '+  "description": "other",' in diff("tools", A, OTHER)
    assert all(line[0] in "+-@" for line in diff("tools", None, A).splitlines())


def test_the_first_of_two_equal_names_counts() -> None:
    """A server that lists a name twice does not get the second one past the pin."""
    assert seen(A, OTHER).live().tools == (A,)


DEFINITIONS = st.dictionaries(
    st.text(max_size=8),
    st.recursive(st.none() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5),
    max_size=3,
)
PINS = st.builds(
    lambda *kinds: Pins(dict(zip(KINDS, kinds, strict=True))),
    *[
        st.dictionaries(
            st.text(max_size=8),
            st.builds(Pin, st.none() | DEFINITIONS, st.none() | DEFINITIONS, st.booleans()),
            max_size=3,
        )
    ]
    * len(KINDS),
)


@given(PINS)
def test_a_file_holds_pins_as_they_are(tmp_path_factory: pytest.TempPathFactory, pins: Pins) -> None:
    """What was written is read again."""
    file = PinsFile(str(tmp_path_factory.mktemp("pins")), "far")
    file.update(lambda _: (pins, None))
    assert file.load() == pins


def test_a_change_of_the_file_is_seen(tmp_path: Path) -> None:
    """And nothing is written where nothing changes."""
    file = PinsFile(str(tmp_path / "deep" / "pins"), "far")
    assert (file.load(), file.changed_at()) == (Pins(), 0)
    file.update(lambda _: (seen(A), None))
    first = file.changed_at()
    assert first
    file.update(lambda pins: (pins, None))
    assert file.changed_at() == first
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 9}', b"\xff", b"[" * 100_000, b'{"format":1,"tools":[7]}'],
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """The gateway goes on, the operator is told that the server is trusted anew, and the file is kept for a look."""
    file = PinsFile(str(tmp_path), "far")
    file.path.write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert file.load() == Pins()
    assert [line["log_level"] for line in logs] == ["error"]
    assert (tmp_path / "far.broken").read_bytes() == content
    assert file.load() == Pins()


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """A sentence says so, and nothing has changed."""
    file = PinsFile(str(tmp_path / "pins"), "far")
    file.update(lambda _: (seen(A), None))
    (tmp_path / "pins" / "far.json").unlink()
    (tmp_path / "pins" / "far.json").mkdir()
    with pytest.raises(GatewayError, match=r"the pins in \S+/far.json can't be read: Is a directory"):
        file.load()
    (tmp_path / "file").touch()
    with pytest.raises(GatewayError, match=r"the pins in \S+/far.json can't be written: Not a directory"):
        PinsFile(str(tmp_path / "file" / "pins"), "far").update(lambda _: (seen(A), None))


def test_a_pin_is_live_or_not() -> None:
    """Only what is listed, accepted and as it was."""
    pin = Pin(A)
    assert pin.live
    assert not replace(pin, listed=False).live
    assert not replace(pin, pending=OTHER).live
    assert not replace(pin, accepted=None).live
