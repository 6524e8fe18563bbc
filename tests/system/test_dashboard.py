"""The dashboard of a real gateway in a real browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright

from tests.system.processes import Gateway

PROFILE = """\
[server]
title = "Parts <b>& more</b>"
[cache.disk]
path = "{folder}/cache.db"
[metrics]
interval = "500ms"
resolution = "500ms"
[profiling]
cpu = true
[scaling]
enabled = true
interval = "500ms"
window = "1s"
looks = 1
[alerts.throughput]
warning = 20
window = "2s"
[strategies.s]
ttl = "1h"
[upstreams.parts]
type = "files"
root = "{folder}/parts"
[tools.get_part]
description = "A part"
strategy = "s"
tags = ["part:{{name}}"]
[tools.get_part.input]
required = ["name"]
[tools.get_part.input.properties]
name = {{ type = "string" }}
[tools.get_part.fetch]
upstream = "parts"
path = "{{name}}.json"
[tools.get_part.result]
select = "@"
"""
PARTS = ("bolt", "nut", "<img src=x onerror=alert(1)>")
DRAWN = "[...document.querySelectorAll('img[data-chart]')].every((image) => image.naturalWidth > 0)"
SLOW = 30_000
"""Milliseconds that a step may take on a busy machine."""


class Load:
    """Calls the tool over and over, from a thread."""

    def __init__(self, gateway: Gateway) -> None:
        self._address = urlsplit(gateway.url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def call(self, name: str) -> None:
        connection = HTTPConnection(str(self._address.hostname), self._address.port, timeout=30)
        self._ask(connection, name)
        connection.close()

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        connection = HTTPConnection(str(self._address.hostname), self._address.port, timeout=30)
        number = 0
        while not self._stop.wait(0.005):
            number += 1
            self._ask(connection, PARTS[number % 2] if number % 5 else "washer")
        connection.close()

    def _ask(self, connection: HTTPConnection, name: str) -> None:
        params = {"name": "get_part", "arguments": {"name": name}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        connection.request("POST", self._address.path, body, headers)
        assert connection.getresponse().read()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a screen; a skip where there is none, except under CI=true."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium")
    # Once trio-asyncio is imported, new event loops are its own, which playwright can't drive; with a policy that was
    # set they are not.
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            yield chromium
            chromium.close()
    finally:
        asyncio.set_event_loop_policy(None)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of a few parts, with an alert that a little load raises."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "parts").mkdir()
    for name in PARTS:
        (folder / "parts" / f"{name.replace('/', '')}.json").write_text(json.dumps({"name": name}))
    (folder / "p.toml").write_text(PROFILE.format(folder=folder))
    with Gateway.serving(folder, "--profile", str(folder / "p.toml")) as running:
        yield running


class Watched:
    """A page, and whatever went wrong on it."""

    def __init__(self, browser: Browser, gateway: Gateway, *, width: int, height: int, theme: str) -> None:
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light"
        )
        self.page: Page = self._context.new_page()
        self.errors: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self._home = gateway.admin
        self.page.goto(gateway.admin)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self._home):
            self.errors.append(f"asked {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} for {response.url}")


def shown(page: Page, name: str) -> str:
    return page.locator(f"#{name}").inner_text()


def test_numbers_alerts_and_purges(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    """Under load numbers change and an alert is raised, then cleared; a tag is purged; nothing complains."""
    with Watched(browser, gateway, width=1280, height=900, theme="light") as watched:
        page = watched.page
        expect(page.locator("h1")).to_have_text("Parts <b>& more</b>", timeout=SLOW)
        with Load(gateway) as load:
            expect(page.locator("#throughput")).not_to_have_text(re.compile("^[–0]$"), timeout=SLOW)
            before = shown(page, "throughput")
            expect(page.locator("#throughput")).not_to_have_text(before, timeout=SLOW)
            expect(page.locator("#raised")).to_contain_text("warning: throughput is", timeout=SLOW)
            expect(page.locator("#throughput")).to_have_class("warn", timeout=SLOW)
            expect(page.locator("#tool_rows")).to_contain_text("get_part", timeout=SLOW)
            page.wait_for_function(DRAWN, timeout=SLOW)
            page.locator("#seconds").fill("1")
            page.locator("#record button").click()
            expect(page.locator("#recorded")).to_contain_text("samples", timeout=SLOW)
            expect(page.locator("#flame")).to_be_visible(timeout=SLOW)
            page.wait_for_function("document.getElementById('flame').naturalWidth > 0", timeout=SLOW)
            page.screenshot(path=tmp_path / "desktop.png", full_page=True)
            load.stop()
        expect(page.locator("#raised")).to_have_text("Nothing is raised.", timeout=SLOW)
        page.locator("#alerts summary").click()
        expect(page.locator("#changes")).to_contain_text("cleared: throughput is good again", timeout=SLOW)

        page.locator("#match").fill("result:get_part*")
        page.locator("#find button").click()
        expect(page.locator("#entry_rows")).to_contain_text("part:bolt", timeout=SLOW)
        page.locator("#what").fill("part:bolt")
        page.locator("#purge button").click()
        expect(page.locator("#purged")).to_contain_text("purged", timeout=SLOW)
        expect(page.locator("#entry_rows")).not_to_contain_text("part:bolt", timeout=SLOW)
        expect(page.locator("#entry_rows")).to_contain_text("part:nut", timeout=SLOW)
        assert watched.errors == []


def test_what_is_scaled(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    """Each limit with its bounds and load, and what was moved and why."""
    with Watched(browser, gateway, width=1280, height=900, theme="dark") as watched:
        page = watched.page
        expect(page.locator("#scaling_rows")).to_contain_text("cache.memory.max_size", timeout=SLOW)
        expect(page.locator("#scaling_steps")).to_contain_text("scaling.threads: 40 → 38, since", timeout=SLOW)
        page.locator("#scaling").screenshot(path=tmp_path / "scaling.png")
        assert watched.errors == []


def test_hostile_names_are_text(browser: Browser, gateway: Gateway) -> None:
    """A key, a tag and a payload that are markup stand there as text."""
    Load(gateway).call(PARTS[2])
    with Watched(browser, gateway, width=1280, height=900, theme="light") as watched:
        page = watched.page
        page.locator("#match").fill("*onerror*")
        page.locator("#find button").click()
        row = page.locator("#entry_rows button", has_text="result:").first
        expect(row).to_contain_text("<img src=x onerror=alert(1)>", timeout=SLOW)
        row.click()
        expect(page.locator("#entry-payload")).to_contain_text("<img src=x", timeout=SLOW)
        assert page.locator("#entry img").count() == 0
        assert watched.errors == []


def test_on_a_phone_in_the_dark(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    """Nothing is wider than a phone, and the dark theme has dark charts."""
    with Watched(browser, gateway, width=390, height=844, theme="dark") as watched:
        page = watched.page
        expect(page.locator("#state")).to_have_text("ready", timeout=SLOW)
        expect(page.locator("img[data-chart=requests]")).to_have_attribute(
            "src", re.compile("theme=dark"), timeout=SLOW
        )
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.screenshot(path=tmp_path / "phone.png", full_page=True)
        assert watched.errors == []


def test_by_keyboard(browser: Browser, gateway: Gateway) -> None:
    """The first key leads past the head of the page, and all that can be done can be reached."""
    with Watched(browser, gateway, width=1280, height=900, theme="light") as watched:
        page = watched.page
        expect(page.locator("#state")).to_have_text("ready", timeout=SLOW)
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#now")).to_be_focused()
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.closest('form')?.id"))
        assert {"match", "find", "kind", "what", "soft", "purge", "seconds", "record", "filter", "toml"} <= reached
        page.locator("#pause").focus()
        page.keyboard.press("Space")
        expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
        assert watched.errors == []


def test_a_gateway_that_went_away(browser: Browser, tmp_path: Path) -> None:
    """The page says so, and keeps the last numbers."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "p.toml").write_text(PROFILE.format(folder=tmp_path))
    with (
        Gateway.serving(tmp_path, "--profile", str(tmp_path / "p.toml")) as leaving,
        Watched(browser, leaving, width=1280, height=900, theme="light") as watched,
    ):
        expect(watched.page.locator("#state")).to_have_text("ready", timeout=SLOW)
        leaving.stop()
        expect(watched.page.locator("#trouble")).to_contain_text("does not answer", timeout=SLOW)
        expect(watched.page.locator("#state")).to_have_text("away")
        expect(watched.page.locator("h1")).to_have_text("Parts <b>& more</b>")


def test_the_policy_is_strict(gateway: Gateway) -> None:
    """The page may load nothing from elsewhere, run nothing inline, and stand in no frame."""
    address = urlsplit(gateway.admin)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request("GET", "/")
    response = connection.getresponse()
    policy = response.headers["Content-Security-Policy"]
    assert response.status == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    page = response.read().decode()
    assert not re.search(r"(src|href)=\"https?:", page)
    connection.close()
