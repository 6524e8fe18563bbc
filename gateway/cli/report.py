"""`gateway report`: how a running gateway does, in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jinja2
import lxml.etree
import psutil
import tomli_w
import trio
from cyclopts import Parameter

from gateway.atomic import write_atomically
from gateway.cli.admin import Admin, Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run, writable
from gateway.cli.top import amount, moved, seconds, share, size
from gateway.profile.profile import Profile

_CHARTS = {
    "requests": "Requests a second, by outcome",
    "latency": "Response time",
    "hit-rate": "Hit rate, by tier",
    "curves": "Hit rate at other sizes",
    "upstreams": "Upstreams, p95",
    "memory": "Memory",
    "cpu": "CPU",
    "lag": "Event loop lag",
}


def report(
    out: Annotated[Path, Parameter(help="The HTML file to write.")],
    /,
    *,
    window: Annotated[float, Parameter(help="Seconds that the numbers look back.")] = 3600.0,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Write a report of a running gateway: system, caches, upstreams, alerts, diagnosis, curves, profile.

    The file needs nothing else and asks no other host. Secrets are not in it.
    """
    return run(partial(_report, load(profile, set_).profile, url, out, window))


async def _report(profile: Profile, url: str | None, out: Path, window: float) -> int:
    writable(out)
    async with open_running(profile, url) as admin:
        parts: dict[str, Any] = {"now": await admin.ask("GET", "/api/overview", params={"window": window})}
        for name in ("alerts", "diagnosis", "curves", "scaling", "tools", "profile"):
            parts[name] = await admin.ask("GET", f"/api/{name}")
        charts = [
            (title, await _chart(admin, name, "light", window), await _chart(admin, name, "dark", window))
            for name, title in _CHARTS.items()
        ]
    page = _template().render(
        **parts,
        charts=charts,
        factors=_factors(parts["curves"]),
        made=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        machine=f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, {size(_memory())}",
    )
    await trio.to_thread.run_sync(write_atomically, out, page.encode())
    sys.stderr.write(f"gateway: wrote {out}\n")
    return 0


async def _chart(admin: Admin, name: str, theme: str, window: float) -> str:
    """The chart as an address that is the image itself (RFC 2397)."""
    image = await admin.content(f"/charts/{name}.svg?theme={theme}&window={window:g}")
    return f"data:image/svg+xml;base64,{base64.b64encode(_still(image)).decode()}"


def _still(image: bytes) -> bytes:
    """The image without what pygal would have scripts for, which nothing runs in an `<img>`."""
    root = lxml.etree.fromstring(image)
    lxml.etree.strip_elements(root, "{*}script", with_tail=False)
    still: bytes = lxml.etree.tostring(root)
    return still


def _memory() -> int:
    return int(psutil.virtual_memory().total)


def _factors(curves: dict[str, Any]) -> list[float]:
    return next(([point["factor"] for point in curve["points"]] for curve in curves["curves"].values()), [])


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.globals |= {
        "seconds": seconds,
        "share": share,
        "size": size,
        "amount": amount,
        "moved": moved,
        "toml": lambda change: tomli_w.dumps(change).strip(),
        "time": lambda at: time.strftime("%H:%M:%S", time.localtime(at)),
    }
    return environment.get_template("report.html.j2")
