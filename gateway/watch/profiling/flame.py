"""Stacks as a flame graph in SVG (Brendan Gregg, "The flame graph", ACM Queue 14(2), 2016), roots on top.

Laid out here, as no library fits: what renders flame graphs in Python either shells out to a Perl script, takes one
profiler's own data (flameprof is cProfile's), or makes a page that needs a script, which neither `<img>` nor our
Content-Security-Policy lets run. Colours are attributes, so the image is right where no style is allowed, too; with
the theme "auto" a style changes them where the reader prefers the dark. Detail is in each box's title, the tooltip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal
from zlib import crc32

from lxml import etree

from gateway.watch.profiling.stacks import Stack

Theme = Literal["light", "dark", "auto"]

WIDTH, ROW, TOP, EDGE = 1200, 18, 34, 8
"""Pixels: of the image, of a row, above the first one, and at the edges."""

_LEAST = 0.5
"""Pixels below which a box is not drawn, nor what is on it."""
_LETTER = 6.3
"""Pixels that a letter takes in the font below, at most."""
_SVG = "http://www.w3.org/2000/svg"

_LIGHT = ("#f9d49b", "#f6c177", "#f3b27a", "#f0a36b", "#f4bfa1", "#efb0b0", "#e8d28a", "#d9d48f", "#c9dba6", "#a9d8c5")
_DARK = ("#7a4f1d", "#855021", "#8a4526", "#7d3a2a", "#834a3b", "#7d3a48", "#6d5a1f", "#5d6026", "#456039", "#2c5f55")
_PAPER = {"light": ("#ffffff", "#1f2328", "#59636e"), "dark": ("#15181c", "#e6e8eb", "#9aa4af")}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True)
class _Box:
    name: str
    count: int = 0
    inner: dict[str, _Box] = field(default_factory=dict)


def flame_svg(stacks: Mapping[Stack, int], note: str, theme: Theme = "auto") -> bytes:
    """A picture of `stacks`, each box as wide as the part of the time in which its function was under way.

    `note` stands at the top. The same stacks give the same bytes.
    """
    root = _tree(stacks)
    rows = [] if root.count == 0 else list(_rows(root))
    height = TOP + ROW * (1 + max((row for row, *_ in rows), default=0)) + EDGE
    ground, ink, faint = _PAPER["dark" if theme == "dark" else "light"]
    svg = etree.Element(
        f"{{{_SVG}}}svg",
        {"viewBox": f"0 0 {WIDTH} {height}", "width": str(WIDTH), "height": str(height), "role": "img"},
        nsmap={None: _SVG},
    )
    svg.set("font-family", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")
    svg.set("font-size", "10.5")
    _add(svg, "title", text=f"Flame graph: {note}")
    if theme == "auto":
        _add(svg, "style", text=_dark_style())
    _add(svg, "rect", {"class": "paper", "width": "100%", "height": "100%", "fill": ground})
    heading = note if rows else f"{note}: every thread was idle"
    _add(svg, "text", {"class": "note", "x": str(EDGE), "y": "21", "fill": faint, "font-size": "12"}, heading)
    for row, x, width, box in rows:
        _draw(svg, row, x, width, box, root.count, dark=theme == "dark", ink=ink)
    return bytes(etree.tostring(svg, encoding="utf-8", xml_declaration=True))


def _tree(stacks: Mapping[Stack, int]) -> _Box:
    root = _Box("all threads")
    for stack, count in stacks.items():
        box = root
        box.count += count
        for name in stack:
            box = box.inner.setdefault(name, _Box(name))
            box.count += count
    return root


def _rows(root: _Box) -> Iterator[tuple[int, float, float, _Box]]:
    """Each box with its row, where it begins and how wide it is: no recursion, as stacks are deep."""
    scale = (WIDTH - 2 * EDGE) / root.count
    waiting = [(0, float(EDGE), root)]
    while waiting:
        row, x, box = waiting.pop()
        width = box.count * scale
        if width < _LEAST:
            continue
        yield row, x, width, box
        for name in sorted(box.inner):  # by name, so that the same function is at the same place in two profiles
            waiting.append((row + 1, x, box.inner[name]))
            x += box.inner[name].count * scale


def _draw(
    svg: etree._Element, row: int, x: float, width: float, box: _Box, total: int, *, dark: bool, ink: str
) -> None:
    part = f"{box.count / total:.1%}"
    colour = _colour(box.name)
    group = _add(svg, "g")
    _add(group, "title", text=f"{box.name}: {part}, {box.count} of {total}")
    place = {
        "x": f"{x:.2f}",
        "y": str(TOP + row * ROW),
        "width": f"{max(0.3, width - 0.6):.2f}",
        "height": str(ROW - 1),
    }
    fill = (_DARK if dark else _LIGHT)[colour]
    _add(group, "rect", {"class": f"c{colour}", **place, "rx": "2", "fill": fill})
    letters = int((width - 8) / _LETTER)
    if letters >= 3:
        name = box.name if row < 2 else box.name.rpartition(" (")[0] or box.name
        full = f"{name} {part}"
        shown = full if len(full) <= letters else name if len(name) <= letters else name[: letters - 1] + "…"
        _add(group, "text", {"class": "ink", "x": f"{x + 4:.2f}", "y": str(TOP + row * ROW + 12), "fill": ink}, shown)


def _colour(name: str) -> int:
    """One for each file, so that what belongs together looks alike."""
    place = name.rpartition(" (")[2].rpartition(":")[0] or name
    return crc32(place.encode("utf-8", "replace")) % len(_LIGHT)


def _dark_style() -> str:
    ground, ink, faint = _PAPER["dark"]
    boxes = "".join(f".c{index}{{fill:{colour}}}" for index, colour in enumerate(_DARK))
    rules = f".paper{{fill:{ground}}}.note{{fill:{faint}}}.ink{{fill:{ink}}}{boxes}"
    return f"@media (prefers-color-scheme:dark){{{rules}}}"


def _add(parent: etree._Element, name: str, attributes: dict[str, str] | None = None, text: str = "") -> etree._Element:
    element = etree.SubElement(parent, f"{{{_SVG}}}{name}", attributes or {})
    if text:
        element.text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return element
