"""Charts of the last samples and of hit rates by size, as SVG documents that need no script. Plain functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pygal
from pygal.style import Style

from gateway.telemetry.series import CACHEABLE, FAILURES, Sample, Window

Theme = Literal["light", "dark"]

CURVES = "curves"
"""The name of the chart of hit rates by size."""
_POINTS = 90
"""Points of a line at most: more can't be told apart on a screen."""
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
_SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_COLOURS: Mapping[Theme, tuple[str, ...]] = {
    "light": ("#2563a8", "#c2570c", "#15803d", "#9333a8", "#0e7490", "#a16207", "#be185d", "#4d5b6b"),
    "dark": ("#7db4f0", "#f0a35e", "#6fcf8f", "#d39be8", "#66c8dc", "#e3c45a", "#f08cb4", "#a9b6c4"),
}
INK: Mapping[Theme, tuple[str, str, str]] = {
    "light": ("#1b2733", "#5b6875", "#dfe5eb"),
    "dark": ("#e6edf3", "#9aa7b4", "#2b3641"),
}
"""Text, quiet text, and lines."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: a name, and a value for each window, None where there is none."""

    name: str
    values: Sequence[float | None]


def draw(name: str, samples: Sequence[Sample], theme: Theme) -> bytes:
    """The chart `name` (one of `CHARTS`) of these samples, oldest first."""
    windows = _windows(samples)
    title, unit, lines = CHARTS[name](windows)
    chart = pygal.StackedLine(fill=True, **_look(theme)) if unit == "requests/s" else pygal.Line(**_look(theme))
    chart.config.value_formatter = _FORMATS[unit]
    ends = [window.samples[-1].at for window in windows]
    step = -(-len(ends) // 4) or 1  # four times fit beside each other
    chart.x_labels = [
        time.strftime("%H:%M:%S", time.localtime(at)) if index % step == 0 else "" for index, at in enumerate(ends)
    ]
    values = [line.values for line in lines]
    known = [value for column in values for value in column if value is not None]
    if unit == "ratio":
        chart.range = (0, max([1.0, *known]))
    elif unit == "requests/s":  # what is stacked adds up
        chart.range = (
            0,
            max((sum(value or 0 for value in stack) for stack in zip(*values, strict=True)), default=0) or 1,
        )
    elif known:
        chart.range = (0, max(known) or 1)
    for line in lines:
        chart.add(line.name, list(line.values))
    return _rendered(chart, title)


def draw_curves(curves: Mapping[str, Sequence[tuple[float, float]]], theme: Theme) -> bytes:
    """The hit rate of each tier at parts and multiples of its size: points of factor and rate."""
    chart = pygal.Line(**{**_look(theme), "show_dots": True, "dots_size": 3})
    chart.config.value_formatter = _FORMATS["ratio"]
    chart.range = (0, 1)
    factors = sorted({factor for points in curves.values() for factor, _ in points})
    chart.x_labels = [f"{factor:g}x" for factor in factors]
    for name, points in curves.items():
        rates = dict(points)
        chart.add(name, [rates.get(factor) for factor in factors])
    return _rendered(chart, "Hit rate by size")


def _rendered(chart: Any, title: str) -> bytes:
    chart.no_data_text = "nothing yet"
    chart.config.title = None
    svg: str = chart.render(is_unicode=True)
    return svg.replace("<title>Pygal</title>", f"<title>{title}</title>", 1).encode()


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
        guide_stroke_dasharray="0",
        major_guide_stroke_dasharray="0",
        opacity=".35",
        opacity_hover=".5",
        stroke_width=2,
        colors=_COLOURS[theme],
        font_family=_SANS,
        label_font_family=_SANS,
        major_label_font_family=_SANS,
        legend_font_family=_SANS,
        value_font_family=_MONO,
        label_font_size=14,
        major_label_font_size=14,
        legend_font_size=14,
        no_data_font_size=15,
    )
    return {
        "style": style,
        "js": [],
        "width": 560,
        "height": 240,
        "margin": 6,
        "margin_bottom": 26,  # the legend stands in it
        "show_dots": False,
        "stroke_style": {"width": 2},
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 4,
        "legend_box_size": 9,
        "y_labels_major_count": 3,
        "show_minor_y_labels": False,
        "show_x_guides": False,
        "truncate_legend": 24,
        "truncate_label": -1,
        "disable_xml_declaration": True,
        "explicit_size": False,
        "max_scale": 5,
        "min_scale": 2,
    }


def _windows(samples: Sequence[Sample]) -> list[Window]:
    """The samples in groups of equal size, few enough to draw."""
    size = -(-len(samples) // _POINTS) or 1
    return [Window(tuple(samples[start : start + size])) for start in range(0, len(samples), size)]


_Drawn = tuple[str, str, list[Line]]


def _requests(windows: Sequence[Window]) -> _Drawn:
    words = [*CACHEABLE, "passed", "refused", *FAILURES]
    rates = {word: [window.outcomes[word] / window.seconds for window in windows] for word in words}
    return "Requests a second", "requests/s", [Line(word, values) for word, values in rates.items() if any(values)]


def _latency(windows: Sequence[Window]) -> _Drawn:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    timings = [window.requests for window in windows]
    lines = [
        Line(name, [timing.percentile(share) if timing.count else None for timing in timings])
        for name, share in shares.items()
    ]
    return "Response time", "seconds", lines


def _hit_rate(windows: Sequence[Window]) -> _Drawn:
    tiers = {tier for window in windows for sample in window.samples for tier in sample.tiers}
    lines = [Line("all tiers", [window.hit_rate for window in windows])]
    lines += [Line(tier, [window.tier_hit_rate(tier) for window in windows]) for tier in sorted(tiers, reverse=True)]
    return "Hit rate", "ratio", lines


def _of_process(attribute: str) -> Callable[[Window], float]:
    def value(window: Window) -> float:
        return max(float(getattr(sample.process, attribute)) for sample in window.samples)

    return value


def _memory(windows: Sequence[Window]) -> _Drawn:
    tier = [
        max((sample.tiers["memory"].size for sample in window.samples if "memory" in sample.tiers), default=0)
        for window in windows
    ]
    resident = [_of_process("memory")(window) for window in windows]
    return "Memory", "bytes", [Line("process", resident), Line("memory tier", tier)]


def _cpu(windows: Sequence[Window]) -> _Drawn:
    return "CPU", "ratio", [Line("of one core", [window.cpu for window in windows])]


def _lag(windows: Sequence[Window]) -> _Drawn:
    return "Event loop lag", "seconds", [Line("longest", [window.lag for window in windows])]


def _upstreams(windows: Sequence[Window]) -> _Drawn:
    names = sorted({name for window in windows for sample in window.samples for name in sample.upstreams})
    lines = []
    for name in names:
        timings = [window.upstream(name) for window in windows]
        lines.append(Line(name, [timing.percentile(0.95) if timing.count else None for timing in timings]))
    return "Upstreams, p95", "seconds", lines


CHARTS: Mapping[str, Callable[[Sequence[Window]], _Drawn]] = {
    "requests": _requests,
    "latency": _latency,
    "hit-rate": _hit_rate,
    "memory": _memory,
    "cpu": _cpu,
    "lag": _lag,
    "upstreams": _upstreams,
}
"""Every chart of the last samples, by the name in its address."""


def _seconds(value: float) -> str:
    if not value:
        return "0"
    if value < 1e-3:
        return f"{value * 1e6:.0f} us"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


_FORMATS: Mapping[str, Callable[[float], str]] = {
    "requests/s": lambda value: f"{value:.4g}",
    "seconds": _seconds,
    "ratio": lambda value: f"{value:.0%}",
    "bytes": lambda value: f"{value / 1e6:.0f} MB",
}
