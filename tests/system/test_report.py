"""`gateway report` on a gateway that runs: one file that needs nothing else, and tells no secret."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import lxml.etree
import lxml.html
import pytest

from tests.system.processes import NOWHERE, Ended, run
from tests.system.watched import Watched, watched

SECRET = "s3cr3t-0f-the-upstream"
MORE = """
[server]
title = "<script>alert(1)</script> & [bold]Sons[/bold]"
[upstreams.items.headers]
Authorization = "Bearer ${credential:ITEMS}"
[alerts.throughput]
warning = 1
min_requests = 1
[tools.hostile]
description = "</pre><img src='https://example.org/x.png'>"
strategy = "short"
fetch = { upstream = "items", path = "items/7" }
"""


async def report(folder: Path, gateway: Watched, *arguments: str) -> Ended:
    return await run(folder, "report", *arguments, "--url", gateway.process.admin, "--profile", "./watched.toml")


@pytest.fixture
def credential(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "ITEMS").write_text(SECRET)


@pytest.mark.usefixtures("credential")
async def test_a_report(tmp_path: Path) -> None:
    """System, alerts, diagnosis, charts, caches and curves, upstreams, tools and the profile, in one file."""
    async with watched(tmp_path, MORE) as gateway:
        for _ in range(80):
            await gateway.rpc("tools/call", {"name": "hostile", "arguments": {}})
        ended = await report(tmp_path, gateway, "report.html")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.endswith("gateway: wrote report.html\n")
    content = (tmp_path / "report.html").read_text()
    page = lxml.html.document_fromstring(content)
    sections = [heading.text for heading in page.iter("h2")]
    assert sections == ["System", "Alerts", "What costs", "Charts", "Caches", "Upstreams", "Tools", "Profile"]
    tables = {sections[at]: text_of(table) for at, table in zip((0, 4, 5, 6), _tables(page), strict=True)}
    assert "Requests a second" in tables["System"]
    assert {"memory", "disk"} <= set(tables["Caches"].split())
    assert "items" in tables["Upstreams"]
    assert {"item", "hostile"} <= set(tables["Tools"].split())
    whole = text_of(page)
    assert "low hit rate of short" in whole
    assert "Hit rate at other sizes" in whole
    assert "throughput" in whole
    assert_alone(page, content)
    assert_hostile_names_are_text(page, whole)
    assert SECRET not in content
    assert "Bearer ${credential:ITEMS}" in page.xpath("//pre")[-1].text


def assert_alone(page: lxml.html.HtmlElement, content: str) -> None:
    """Nothing in it leads anywhere, and nothing in it runs."""
    assert not list(page.iter("script", "link", "iframe", "object", "embed", "base"))
    led = [value for name in ("src", "href", "srcset", "data", "action") for value in page.xpath(f"//@{name}")]
    assert len(led) == 16
    assert all(re.fullmatch(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", value) for value in led)
    assert "url(" not in content
    assert "@import" not in content
    assert not [value for value in page.xpath("//@*") if value.lower().startswith("javascript:")]
    assert not page.xpath("//@*[starts-with(name(), 'on')]")
    for value in led:
        image = lxml.etree.fromstring(base64.b64decode(value.partition(",")[2]))
        assert image.tag == "{http://www.w3.org/2000/svg}svg"
        assert not list(image.iter("{*}script", "{*}image", "{*}use", "{*}foreignObject"))
        assert not [href for href in image.xpath("//@*[local-name() = 'href']") if not href.startswith("#")]
        assert not re.search(r"url\((?!#)|@import", lxml.etree.tostring(image).decode())


def assert_hostile_names_are_text(page: lxml.html.HtmlElement, whole: str) -> None:
    """What looks like markup is shown as it is written."""
    assert next(page.iter("h1")).text == "<script>alert(1)</script> & [bold]Sons[/bold]"
    assert "</pre><img src='https://example.org/x.png'>" in whole


def _tables(page: lxml.html.HtmlElement) -> list[lxml.html.HtmlElement]:
    """The first table of each section that has one."""
    found = page.xpath("//h2/following-sibling::*[1][self::table]")
    assert isinstance(found, list)
    return found


def text_of(element: lxml.html.HtmlElement) -> str:
    return " ".join(text for text in element.itertext())


async def test_a_report_of_an_idle_gateway(tmp_path: Path) -> None:
    """Nothing was asked, nothing is raised, nothing stands out: it says so."""
    async with watched(tmp_path, calls=0) as gateway:
        ended = await report(tmp_path, gateway, "report.html", "--window", "5")
        assert ended.code == 0
        whole = text_of(lxml.html.parse(str(tmp_path / "report.html")).getroot())
        assert "Nothing is raised." in whole
        assert "Nothing stands out in the last" in whole
        ended = await report(tmp_path, gateway, "nowhere/report.html")
        assert (ended.code, ended.err.splitlines()[-1]) == (
            1,
            "gateway: can't write nowhere/report.html: expected a file in a folder that is there and can be written",
        )


async def test_no_gateway(tmp_path: Path) -> None:
    """A sentence, and no file."""
    ended = await run(tmp_path, "report", "report.html", "--url", NOWHERE)
    assert ended.code == 1
    assert f"gateway: no gateway answers at {NOWHERE}: " in ended.err
    assert not (tmp_path / "report.html").exists()
