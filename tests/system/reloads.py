"""A profile that is rewritten while a gateway runs on it, and load that notices every request that is lost."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

from tests.system.processes import START, Gateway

PROFILE = """
[server]
drain_timeout = "20s"
{server}
[cache.disk]
path = "{folder}/cache.db"
[strategies.s]
ttl = "{ttl}"
[upstreams.docs]
type = "files"
root = "{folder}/docs"
max_size = "{max_size}"
[tools.doc]
description = "{about}"
strategy = "s"
[tools.doc.input.properties]
name = {{ type = "string", default = "a" }}
n = {{ type = "integer", default = 0 }}
[tools.doc.fetch]
upstream = "docs"
path = "{{name}}.json"
"""

HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


_PAUSE = 0.002
"""Seconds between two requests of a client: the load is to be there, not to take the machine."""


@dataclass
class Profile:
    """The file, and what it says at the moment."""

    folder: Path
    values: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "changing.toml"

    def write(self, more: str = "", **values: str) -> Self:
        """Say something else from now on; put in place as editors do it."""
        if not self.values:
            (self.folder / "docs").mkdir()
            (self.folder / "docs" / "a.json").write_text('{"a": 1}')
        self.values = {"server": "", "ttl": "1h", "max_size": "1MB", "about": "a tool", **self.values, **values}
        new = self.path.with_suffix(".new")
        new.write_text(PROFILE.format(folder=self.folder, **self.values) + more)
        new.replace(self.path)
        return self

    def serving(self, *more: str) -> Gateway:
        """A gateway that runs on it."""
        return Gateway.serving(self.folder, "--profile", str(self.path), *more)


def admin(gateway: Gateway, path: str, method: str = "GET") -> tuple[int, Any]:
    """The status and the JSON of an answer of the admin site."""
    asking = urllib.request.Request(f"{gateway.admin}{path}", method=method)
    try:
        with urllib.request.urlopen(asking, timeout=START) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def reloads(gateway: Gateway, outcome: str) -> int:
    """How many reloads there were that ended so."""
    _, metrics = admin(gateway, "/api/metrics")
    samples = metrics["gateway_reloads"]["samples"]
    return int(sum(each["value"] for each in samples if each["labels"] == {"outcome": outcome}))


def hang_up(gateway: Gateway, outcome: str) -> None:
    """Send SIGHUP, and wait for one more reload that ends so."""
    before = reloads(gateway, outcome)
    gateway.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + START
    while reloads(gateway, outcome) == before:
        assert time.monotonic() < deadline, gateway.stderr
        time.sleep(0.005)


def ask(connection: HTTPConnection, method: str = "tools/call", **arguments: Any) -> dict[str, Any]:
    """The result of a request on a connection; raises OSError or HTTPException where there is none."""
    params = {"name": "doc", "arguments": arguments} if method == "tools/call" else {}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    connection.request("POST", "/mcp", body, HEADERS)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert answer.status == 200, told
    result: dict[str, Any] = told["result"]
    assert not result.get("isError"), result
    return result


class Load:
    """Clients that ask one thing after another, most of it from the cache, on connections that they keep for a while.

    Every request that is not answered well is kept in `lost`; those that begin after `stopping` may find nobody.
    """

    def __init__(self, gateway: Gateway, clients: int = 4) -> None:
        self._port = gateway.port
        self._over = threading.Event()
        self.stopping = float("inf")
        self.lost: list[str] = []
        self.counts = Counter[str]()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        made = 0
        while not self._over.is_set() and time.monotonic() < self.stopping:
            connection = HTTPConnection("127.0.0.1", self._port, timeout=START)
            try:
                for _ in range(50):
                    if self._over.is_set():
                        return
                    made += 1
                    self._ask(connection, number, made)
            except _Late:
                return
            finally:
                connection.close()

    def _ask(self, connection: HTTPConnection, number: int, made: int) -> None:
        began = time.monotonic()
        new = made % 10 == 0  # what nobody has asked before
        try:
            if made % 7 == 0:
                ask(connection, "tools/list")
            else:
                ask(connection, name="a", n=number * 1_000_000 + made if new else 0)
        except (OSError, HTTPException, AssertionError) as error:
            if began >= self.stopping:
                raise _Late from None
            self.lost.append(f"{type(error).__name__}: {error}")
        else:
            self.counts["answered"] += 1
            time.sleep(_PAUSE)


class _Late(Exception):
    """Nobody is there any more."""
