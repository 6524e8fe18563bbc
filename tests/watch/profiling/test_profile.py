from __future__ import annotations

import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.watch.profiling.flame import Theme
from gateway.watch.profiling.profile import Profile
from gateway.watch.profiling.stacks import Stack

SVG = "{http://www.w3.org/2000/svg}"

RUN = "run (trio/_core/_run.py:10)"
GET = "MemoryTier.get (gateway/tiers/memory.py:92)"
PUT = "MemoryTier.put (gateway/tiers/memory.py:120)"
STACKS: dict[Stack, int] = {("main", RUN, GET): 30, ("main", RUN, PUT): 10, ("worker", RUN): 60}

SPEEDSCOPE = {
    "type": "object",
    "required": ["$schema", "profiles", "shared"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": {"type": "number"},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "file": {"type": "string"},
                            "line": {"type": "number"},
                            "col": {"type": "number"},
                        },
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {"enum": ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"]},
                    "startValue": {"type": "number"},
                    "endValue": {"type": "number"},
                    "samples": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                    "weights": {"type": "array", "items": {"type": "number"}},
                },
            },
        },
    },
}
"""The format of speedscope 1.25 (`src/lib/file-format-spec.ts`), its part about sampled profiles."""


def profile(stacks: dict[Stack, int] | None = None, left_out: int = 0) -> Profile:
    return Profile(STACKS if stacks is None else stacks, 2.0, 1.0, 0.01, 200, 100, left_out, 0.01)


def boxes(svg: bytes) -> list[tuple[str, dict[str, str]]]:
    """The title and the attributes of each box."""
    groups = etree.fromstring(svg).iter(f"{SVG}g")
    return [(group.findtext(f"{SVG}title") or "", dict(group.find(f"{SVG}rect").attrib)) for group in groups]


def test_collapsed_is_a_line_for_each_stack() -> None:
    """Thread and frames, outermost first, between semicolons; then how often."""
    assert profile().collapsed().splitlines()[0] == f"main;{RUN};{GET} 30"


def test_collapsed_keeps_names_on_their_line() -> None:
    """A name with a semicolon or a newline in it is still one frame."""
    assert profile({("a;b\nc", "f"): 1}).collapsed() == "a,b c;f 1\n"


@pytest.mark.parametrize("stacks", [STACKS, {}])
def test_speedscope_is_in_its_format(stacks: dict[Stack, int]) -> None:
    """What is written is valid by the format's definition, also when all threads were idle."""
    jsonschema_rs.validator_for(SPEEDSCOPE).validate(json.loads(profile(stacks).speedscope()))


def test_speedscope_says_the_same_as_the_stacks() -> None:
    """Each thread is a profile, and each stack in it as heavy as the time that it was seen for."""
    file = json.loads(profile().speedscope())
    names = [frame["name"] for frame in file["shared"]["frames"]]
    assert [each["name"] for each in file["profiles"]] == ["worker", "main"]
    main = file["profiles"][1]
    assert [[names[index] for index in sample] for sample in main["samples"]] == [
        ["run", "MemoryTier.get"],
        ["run", "MemoryTier.put"],
    ]
    assert main["weights"] == pytest.approx([0.3, 0.1])
    assert main["endValue"] == pytest.approx(sum(main["weights"]))
    assert {"name": "MemoryTier.get", "file": "gateway/tiers/memory.py", "line": 92} in file["shared"]["frames"]


def test_a_box_is_as_wide_as_its_part() -> None:
    """Titles tell the exact numbers, and the widths are in the same relation."""
    found = {title.partition(" (")[0].partition(":")[0]: (title, box) for title, box in boxes(profile().flame_svg())}
    title, box = found["MemoryTier.get"]
    assert title == f"{GET}: 30.0%, 30 of 100"
    everything = found["all threads"][1]
    assert float(box["width"]) / float(everything["width"]) == pytest.approx(0.3, abs=0.01)


def test_callees_are_within_their_callers() -> None:
    """A box lies one row below the function that called it, and not beside it."""
    found = {title.partition(" (")[0].partition(":")[0]: box for title, box in boxes(profile().flame_svg())}
    caller, callee = found["main"], found["MemoryTier.put"]
    assert float(callee["y"]) > float(caller["y"])
    assert float(callee["x"]) >= float(caller["x"])
    end = float(callee["x"]) + float(callee["width"])
    assert end <= float(caller["x"]) + float(caller["width"]) + 0.01


def test_the_image_needs_no_script_and_no_other_file() -> None:
    """No script, no handler, no reference, so a browser shows it in <img> and under any Content-Security-Policy."""
    for theme in ("light", "dark", "auto"):
        root = etree.fromstring(profile().flame_svg(theme))
        assert {etree.QName(each).localname for each in root.iter()} <= {"svg", "title", "style", "rect", "text", "g"}
        names = {name for each in root.iter() for name in each.attrib}
        assert not any(name.startswith("on") or "href" in name or name == "style" for name in names)


def test_the_theme_decides_the_colours() -> None:
    """Light and dark are plain attributes; auto is the light one, with a style for readers who prefer the dark."""
    themes: tuple[Theme, ...] = ("light", "dark", "auto")
    light, dark, auto = (profile().flame_svg(theme) for theme in themes)
    assert b"<style" not in light + dark
    assert b"prefers-color-scheme:dark" in auto
    assert boxes(light) == boxes(auto) != boxes(dark)


def test_the_same_stacks_give_the_same_image() -> None:
    """Colours and places depend on names alone, not on the order in which stacks were seen."""
    turned = dict(reversed(STACKS.items()))
    assert profile().flame_svg() == profile(turned).flame_svg()


def test_what_was_left_out_is_said() -> None:
    """The heading tells of stacks that were not kept."""
    assert b"7 left out" in profile(left_out=7).flame_svg()


def test_an_idle_gateway_has_an_image_as_well() -> None:
    """Without any stack it says that every thread was idle."""
    assert b"every thread was idle" in profile({}).flame_svg()
    assert profile({}).summary.top == ()


@given(st.text(), st.text())
def test_names_are_escaped(thread: str, function: str) -> None:
    """Whatever a thread or a function is called, the image is well-formed and adds no element."""
    svg = profile({(f"{thread}</title><script>", f"<{function}&"): 1}).flame_svg()
    assert not list(etree.fromstring(svg).iter(f"{SVG}script"))
    json.loads(profile({(thread.encode("utf-8", "replace").decode(), "f"): 1}).speedscope())


def test_a_thousand_frames_fit() -> None:
    """A stack that is very deep is drawn without recursion."""
    stack = tuple(f"f{number}" for number in range(1000))
    assert len(boxes(profile({stack: 1}).flame_svg())) == 1001


def test_the_summary_names_where_time_goes() -> None:
    """Functions are named by the time that they spent themselves, without what they called."""
    summary = profile().summary
    assert (summary.samples, summary.busy, summary.idle) == (200, 100, 100)
    assert summary.top == ((RUN, 0.6), (GET, 0.3), (PUT, 0.1))
