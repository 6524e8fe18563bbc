"""`gateway load` as a process, against servers that do well and servers that do not."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from tests.fakes.http_server import HttpServer, Request, Script, answer, reset, silent
from tests.system import processes
from tests.system.processes import Ended, Gateway

PROFILE = """
[cache.disk]
enabled = false
[strategies.s]
ttl = "1h"
[tools.echo]
description = "Says what it is told."
strategy = "s"
[tools.echo.input.properties]
name = { type = "string", default = "nobody" }
[tools.echo.result]
select = "{name: arg('name')}"
[tools.fail]
description = "Takes one argument only."
strategy = "s"
[tools.fail.input]
required = ["never"]
[tools.fail.input.properties]
never = { type = "string" }
[tools.fail.result]
select = "arg('never')"
[alerts]
response_time = { critical = "20s" }
error_rate = { warning = "1%", critical = "10%" }
[preflight]
load_report = "load.json"
[[load.calls]]
tool = "echo"
vary = { name = { values = ["a", "b", "c", "d"], distribution = "zipf" } }
"""
MIXED = 'load.calls=[{tool="echo", weight=3}, {tool="fail"}]'


class Awkward(HttpServer):
    """An MCP server of the handshake era that answers calls as a test says."""

    calls: Script = b""
    alternately: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.busy = trio.Event()

    def script_for(self, request: Request) -> Script:
        message = json.loads(request.body)
        match message["method"]:
            case "initialize":
                result = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "serverInfo": {"name": "x", "version": "1"},
                }
                return _result(message["id"], result, {"Mcp-Session-Id": "s1"})
            case "notifications/initialized":
                return answer(status="202 Accepted")
            case "server/discover":
                return answer(b"no such thing", "text/plain", status="400 Bad Request")
        if len(self.requests) >= 50:
            self.busy.set()
        assert request.headers["mcp-session-id"] == "s1"
        assert request.headers["mcp-protocol-version"] == "2025-11-25"
        if self.calls and not (self.alternately and message["id"] % 2):
            return self.calls
        return _result(message["id"], {"content": [{"type": "text", "text": "ok"}]})


def _result(number: int, result: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    return answer(orjson.dumps({"jsonrpc": "2.0", "id": number, "result": result}), headers=headers)


@pytest.fixture
async def awkward(nursery: trio.Nursery) -> Awkward:
    """A server to be awkward."""
    server = Awkward()
    await nursery.start(server.serve)
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the profile."""
    (tmp_path / "p.toml").write_text(PROFILE)
    return tmp_path


@pytest.fixture(scope="module", params=["json", "stream"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of that profile, which answers as JSON or as event streams; one for the whole module."""
    folder = tmp_path_factory.mktemp("load")
    (folder / "p.toml").write_text(PROFILE)
    with Gateway.serving(folder, "--profile", "./p.toml", "--set", f"server.response={request.param}") as running:
        yield running


@pytest.fixture
def gateway(either: Gateway) -> Gateway:
    """A gateway that answers as JSON."""
    return either


json_alone = pytest.mark.parametrize("either", ["json"], indirect=True)


async def load(folder: Path, *arguments: str) -> Ended:
    return await processes.run(folder, "load", "--profile", "./p.toml", *arguments)


async def measured(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the result as JSON."""
    ended = await load(folder, "--json", *arguments)
    assert ended.err == ""  # no terminal: no progress
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_gateway(folder: Path, either: Gateway, era: str) -> None:
    """A gateway answers every request of both eras, as JSON and as an event stream."""
    code, found = await measured(folder, "--url", either.url, "--era", era, "-c", "4", "-n", "60")
    assert (code, found["passed"], found["era"]) == (0, True, era)
    assert (found["requests"], found["succeeded"], found["errors"]) == (60, 60, {})
    assert sum(bucket["count"] for bucket in found["histogram"]) == 60
    latency = found["latency"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p95"] <= latency["p99_9"] <= latency["max"]
    assert found["bytes"] > 60 * 100


@json_alone
async def test_the_own_gateway_reports_and_preflight(folder: Path, gateway: Gateway) -> None:
    """Without a target it is the profile's own; the report is one that preflight takes, the page needs nothing else."""
    bind = f'server.bind=["127.0.0.1:{gateway.port}"]'
    files = ("--report", "load.json", "--html", "load.html")
    ended = await load(folder, "--set", bind, "-d", "300ms", "--rate", "50", "--ramp", "100ms", *files)
    assert ended.code == 0
    assert "passed: " in ended.out
    assert "open loop" in ended.out
    report = json.loads((folder / "load.json").read_text())
    assert (report["kind"], report["passed"], report["loop"], report["era"]) == ("load", True, "open", "modern")
    page = (folder / "load.html").read_text()
    assert "data:image/svg+xml" in page
    assert 'src="http' not in page
    checked = await processes.run(folder, "check", "--preflight", "--profile", "./p.toml", "--set", bind)
    assert any("PASS" in line.upper() and "load test" in line for line in checked.out.splitlines()), checked.out


async def test_stdio(folder: Path) -> None:
    """A server over stdio is asked by many at once over one pipe, in both eras."""
    command = f"{sys.executable} -m gateway stdio --profile ./p.toml"
    for era in ("auto", "handshake"):
        code, found = await measured(folder, "--command", command, "-c", "20", "-n", "200", "--era", era)
        assert (code, found["succeeded"]) == (0, 200)
        assert found["era"] == ("modern" if era == "auto" else era)


@json_alone
async def test_tool_errors(folder: Path, gateway: Gateway) -> None:
    """Tools are told apart, and an error of one counts: above the threshold, the summary names its key."""
    code, found = await measured(folder, "--url", gateway.url, "-n", "100", "--set", MIXED)
    assert (code, found["passed"]) == (1, False)
    assert list(found["errors"]) == ["tool error"]
    assert found["tools"]["fail"]["failed"] == found["errors"]["tool error"] > 0
    assert found["tools"]["echo"]["failed"] == 0
    assert "at or above 10% (alerts.error_rate.critical)" in found["summary"]


@json_alone
async def test_protocol_errors(folder: Path, gateway: Gateway) -> None:
    """A JSON-RPC error is counted by its code."""
    code, found = await measured(folder, "--url", gateway.url, "-n", "10", "--set", 'load.calls=[{tool="nobody"}]')
    assert (code, found["errors"]) == (1, {"JSON-RPC -32602": 10})
    assert "nothing succeeded" in found["summary"]


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        (answer(b"busy", "text/plain", status="503 Service Unavailable"), "HTTP 503"),
        (answer(b"no JSON"), "invalid answer"),
        (answer(b'{"jsonrpc":"2.0","id":-7,"result":{}}'), "invalid answer"),
        (b"\x00\xffgarbage\r\n\r\n", "invalid answer"),
        (reset, "connection reset"),
        (silent, "timeout"),
    ],
    ids=["status", "text", "another id", "garbage", "reset", "silent"],
)
async def test_half_of_the_requests_fail(folder: Path, awkward: Awkward, calls: Script, error: str) -> None:
    """What goes wrong is counted by its kind, and the other requests go on."""
    awkward.calls, awkward.alternately = calls, True
    code, found = await measured(folder, "--url", awkward.url, "-c", "2", "-n", "16", "--timeout", "200ms")
    assert (code, found["era"], found["requests"]) == (1, "handshake", 16)
    assert found["errors"] == {error: 8}
    assert found["success_rate"] == 0.5


async def test_never_an_answer(folder: Path, awkward: Awkward) -> None:
    """What waits in vain counts with the time that it waited."""
    awkward.calls = silent
    code, found = await measured(folder, "--url", awkward.url, "-c", "4", "-n", "8", "--timeout", "100ms")
    assert (code, found["errors"]) == (1, {"timeout": 8})
    assert found["latency"]["min"] >= 0.1
    assert "nothing succeeded" in found["summary"]


async def test_nobody_there(folder: Path) -> None:
    """A port that nobody listens on is one sentence."""
    ended = await load(folder, "--url", "http://127.0.0.1:9/mcp")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "gateway: http://127.0.0.1:9/mcp can't be reached: Connection refused\n"


async def test_no_mcp(folder: Path, nursery: trio.Nursery) -> None:
    """A server of something else is one sentence."""
    server = HttpServer()
    await nursery.start(server.serve)
    ended = await load(folder, "--url", server.url)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"gateway: {server.url} does not answer as an MCP server: HTTP 404\n"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("no-such-program", "no-such-program can't be started: No such file or directory"),
        ("sh -c 'echo no licence >&2; exit 3'", "sh -c 'echo no licence >&2; exit 3' ended: no licence"),
        ("sh 'a", "--command: \"sh 'a\" can't be split into words: No closing quotation"),
    ],
)
async def test_no_such_command(folder: Path, command: str, sentence: str) -> None:
    """A command that serves nothing is one sentence, with the last words of its own."""
    ended = await load(folder, "--command", command)
    assert (ended.code, ended.out, ended.err) == (1, "", f"gateway: {sentence}\n")


@json_alone
async def test_many_connections(folder: Path, gateway: Gateway) -> None:
    """Two hundred connections are held, and none fails."""
    code, found = await measured(folder, "--url", gateway.url, "-c", "200", "-n", "1000", "--ramp", "500ms")
    assert (code, found["succeeded"], found["errors"]) == (0, 1000, {})


async def test_cut_short(folder: Path, awkward: Awkward) -> None:
    """Ctrl-C ends a run early: what there is by then is printed and written, marked, and has not passed."""
    arguments = ("load", "--profile", "./p.toml", "--url", awkward.url, "-d", "10m", "--json", "--report", "load.json")
    with Gateway(folder, *arguments, pipes=True) as process:
        with trio.fail_after(processes.START):
            await awkward.busy.wait()
        code = await trio.to_thread.run_sync(process.stop, signal.SIGINT)
        printed = json.loads(process.stdout.read())
    written = json.loads((folder / "load.json").read_text())
    assert code == 130
    assert printed == written
    assert (printed["cut_short"], printed["passed"]) == (True, False)
    assert printed["succeeded"] > 0
    assert printed["summary"].startswith("cut short: ")


async def test_misuse(folder: Path) -> None:
    """What can't be is told before any load is made."""
    for arguments, sentence in (
        (("--url", "ftp://x"), "expected an address such as http://127.0.0.1:8765/mcp, found 'ftp://x'"),
        (("--url", "http://x", "--command", "y"), "--url and --command name two servers"),
        (("--report", "nowhere/x.json"), "there is no folder"),
        (("--connections", "0"), "load.connections: expected at least 1, found 0"),
        (("--rate", "5", "--delay", "1s"), "expected either `delay` (closed loop) or `rate` (open loop), found both"),
        (("--header", "X"), "--header: expected NAME=VALUE"),
        (("--set", "load.calls=[]"), "there is nothing to call"),
    ):
        ended = await load(folder, *arguments)
        assert ended.code == 1, arguments
        assert sentence in ended.err
