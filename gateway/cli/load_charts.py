"""The charts of a load test as addresses that are the images themselves (RFC 2397)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pygal
from pygal.style import Style

from gateway.loading.result import Result
from gateway.loading.verdict import spelled
from gateway.serving.admin.drawing import INK, Theme

_COLOURS = {"light": ("#2563a8", "#b3261e", "#c2570c"), "dark": ("#7db4f0", "#ff8f87", "#f0a35e")}
_POINTS = 120
"""Points of a line at most: more can't be told apart."""


def histogram_chart(result: Result, theme: Theme) -> str:
    """How many requests took how long."""
    chart = pygal.Bar(show_legend=False, x_label_rotation=45, **_look(theme))
    chart.x_labels = _few([spelled(bucket.up_to) for bucket in result.histogram], 16)
    chart.add("requests", [bucket.count for bucket in result.histogram])
    return _address(chart, "How many took how long")


def rate_chart(result: Result, theme: Theme) -> str:
    """Successes and failures, second by second."""
    chart = pygal.Line(show_dots=False, **_look(theme))
    at, succeeded, failed = _columns(result, ("succeeded", "failed"))
    chart.x_labels = _few([f"{second:.0f} s" for second in at], 6)
    chart.add("succeeded", succeeded)
    if any(failed):
        chart.add("failed", failed)
    return _address(chart, "Requests a second")


def latency_chart(result: Result, theme: Theme) -> str:
    """p50 and p99, second by second."""
    chart = pygal.Line(show_dots=False, **_look(theme))
    chart.config.value_formatter = spelled
    at, p50, p99 = _columns(result, ("p50", "p99"))
    chart.x_labels = _few([f"{second:.0f} s" for second in at], 6)
    chart.add("p50", p50)
    chart.add("p99", p99)
    return _address(chart, "Latency over time")


def _columns(result: Result, names: Sequence[str]) -> list[list[float]]:
    """The second, and the mean of each of these values in a group of seconds."""
    step = -(-len(result.timeline) // _POINTS) or 1
    groups = [result.timeline[start : start + step] for start in range(0, len(result.timeline), step)]
    means = [[sum(getattr(one, name) for one in group) / len(group) for group in groups] for name in names]
    return [[float(group[0].at) for group in groups], *means]


def _few(labels: Sequence[str], most: int) -> list[str]:
    """The labels, all but `most` of them empty: more overlap."""
    step = -(-len(labels) // most) or 1
    return [label if index % step == 0 else "" for index, label in enumerate(labels)]


def _address(chart: Any, title: str) -> str:
    chart.no_data_text = "nothing was measured"
    chart.config.title = None
    svg: str = chart.render(is_unicode=True).replace("<title>Pygal</title>", f"<title>{title}</title>", 1)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _look(theme: Theme) -> dict[str, Any]:
    ink, quiet, rule = INK[theme]
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=quiet,
        foreground_strong=ink,
        foreground_subtle=rule,
        guide_stroke_color=rule,
        major_guide_stroke_color=rule,
        colors=_COLOURS[theme],
        font_family="system-ui, sans-serif",
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=13,
    )
    return {
        "style": style,
        "js": [],
        "width": 720,
        "height": 280,
        "margin": 6,
        "legend_at_bottom": True,
        "legend_box_size": 9,
        "truncate_label": -1,
        "disable_xml_declaration": True,
        "explicit_size": False,
        "include_x_axis": True,
        "max_scale": 5,
        "min_scale": 2,
    }
