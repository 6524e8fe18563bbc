"""What a load test tells a person: a line while it runs, tables, and a page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jinja2
import tomli_w
import trio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.cli.load_charts import histogram_chart, latency_chart, rate_chart
from gateway.loading.result import Numbers, Result
from gateway.loading.running import LoadTest
from gateway.loading.verdict import spelled
from gateway.printable import printable
from gateway.profile.load import Load

_EACH = 0.25
"""Seconds between two looks."""
_BAR = 40
_PROGRESS = 20
"""Characters of the bar, beside which the rest of the line fits on 80."""
_ROWS = 24
"""Lines of the histogram at most."""
SHARES = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99_9": "p99.9"}


async def show_progress(test: LoadTest, load: Load) -> None:
    """Show on stderr how far the test is, until cancelled."""
    before, at = 0, 0.0
    with Live(Text(), console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            await trio.sleep(_EACH)
            elapsed, made = test.elapsed, test.made
            rate = (made - before) / (elapsed - at) if elapsed > at else 0.0
            before, at = made, elapsed
            live.update(_progress(test, load, rate), refresh=True)


def _progress(test: LoadTest, load: Load, rate: float) -> Text:
    shares = [test.elapsed / load.seconds] if load.seconds else []
    shares += [test.made / load.requests] if load.requests else []
    share = min(1.0, max(shares, default=0.0))
    failed = test.tally.failed
    filled = round(share * _PROGRESS)
    return Text.assemble(
        ("━" * filled, "green"),
        ("━" * (_PROGRESS - filled), "dim"),
        f" {share:4.0%}  {test.elapsed:.0f} s  {test.made:,} requests  {rate:,.0f}/s  "
        f"p99 {spelled(test.tally.latency().percentile(0.99))}  ",
        (f"{failed:,} failed", "bold red" if failed else "dim"),
    )


def tables(document: dict[str, Any], result: Result) -> Group:
    """The result for a terminal."""
    style = "green" if document["passed"] else "bold red"
    era = {"modern": "2026-07-28", "handshake": "the handshake era"}[document["era"]]
    parts: list[Any] = [
        Text(f"{printable(document['target'])} ({era}, {document['loop']} loop)", style="bold"),
        Text(),
        _numbers(result),
        Text(),
        _row(_latencies(result.all)),
    ]
    if result.errors:
        parts += [Text(), _errors(result)]
    if len(result.tools) > 1:
        parts += [Text(), _tools(result)]
    if result.histogram:
        parts += [Text(), _histogram(result)]
    return Group(*parts, Text(), Text(document["summary"], style=style))


def _numbers(result: Result) -> Table:
    whole = result.all
    return _row(
        {
            "requests": f"{whole.requests:,}",
            "succeeded": f"{whole.success_rate * 100:.4g}%",
            "failed": f"{whole.failed:,}",
            "requests/s": f"{result.rate:,.1f}",
            "seconds": f"{result.seconds:.4g}",
            "received": f"{whole.size / 1e6:,.4g} MB",
        }
    )


def _row(numbers: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in numbers:
        table.add_column(name, justify="right")
    table.add_row(*numbers.values())
    return table


def _errors(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("error", "times", "the first one said"):
        table.add_column(column, overflow="fold")
    for kind, times in result.errors.items():
        table.add_row(kind, f"{times:,}", Text(result.details.get(kind, "")))
    return table


def _tools(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("tool", overflow="fold")
    for column in ("requests", "failed", "p50", "p95", "p99", "max"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, tool in result.tools.items():
        latency = tool.latency
        times = (spelled(value) for value in (latency.p50, latency.p95, latency.p99, latency.max))
        table.add_row(Text(printable(name)), f"{tool.requests:,}", f"{tool.failed:,}", *times)
    return table


def _histogram(result: Result) -> Table:
    """Buckets side by side become one where there are too many for a screen."""
    buckets = [(bucket.up_to, bucket.count) for bucket in result.histogram]
    while len(buckets) > _ROWS:
        pairs = (buckets[at : at + 2] for at in range(0, len(buckets), 2))
        buckets = [(pair[-1][0], sum(count for _, count in pair)) for pair in pairs]
    most = max(count for _, count in buckets)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("up to", justify="right")
    table.add_column("requests", justify="right")
    table.add_column("")
    for bound, count in buckets:
        bar = "█" * round(_BAR * count / most) or ("▏" if count else "")
        table.add_row(spelled(bound), f"{count:,}", Text(bar, style="cyan"))
    return table


def page(document: dict[str, Any], result: Result) -> str:
    """The result as an HTML document that needs nothing else and asks no other host."""
    charts = [
        (title, draw(result, "light"), draw(result, "dark"))
        for title, draw in (
            ("How many took how long", histogram_chart),
            ("Requests a second", rate_chart),
            ("Latency over time", latency_chart),
        )
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.globals |= {"spelled": spelled, "latencies": _latencies}
    return environment.get_template("load.html.j2").render(
        about=document,
        result=result,
        charts=charts,
        made=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        settings=tomli_w.dumps({"load": document["settings"]}),
    )


def _latencies(numbers: Numbers) -> dict[str, str]:
    latency = numbers.latency
    named = {"mean": latency.mean, "min": latency.min}
    named |= {title: getattr(latency, name) for name, title in SHARES.items()}
    return {name: spelled(value) for name, value in {**named, "max": latency.max}.items()}
