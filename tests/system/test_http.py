"""Requests over raw HTTP, good and hostile, to one real process."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fakes import varlet
from tests.system.processes import Gateway

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}
BASE = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for the whole module; it has to live through all of it, and end well."""
    with Gateway.serving(tmp_path_factory.mktemp("http"), "--set", 'server.max_body_size="100KB"') as gateway:
        yield gateway
        assert gateway.stop() == 0


def ask(
    gateway: Gateway, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST", path: str = "/mcp"
) -> tuple[int, bytes]:
    """Status and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request(method, path, body, {**BASE, **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def rpc(method: str, params: Mapping[str, Any] | None = None, **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **more}).encode()


def modern(method: str, params: Mapping[str, Any] | None = None) -> bytes:
    return rpc(method, {**(params or {}), "_meta": META})


def code_of(body: bytes) -> int:
    """The JSON-RPC error code of an answer."""
    return int(json.loads(body)["error"]["code"])


def alive(gateway: Gateway) -> None:
    """The gateway still answers, and with what it should."""
    status, body = ask(gateway, rpc("tools/list"))
    assert status == 200
    assert len(json.loads(body)["result"]["tools"]) == len(varlet.TOOLS)


def test_both_eras(gateway: Gateway) -> None:
    """A request of either era gets the answer of its era."""
    alive(gateway)
    status, body = ask(gateway, modern("tools/list"), {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"})
    result = json.loads(body)["result"]
    assert status == 200
    assert (result["resultType"], result["ttlMs"], result["cacheScope"]) == ("complete", 60_000, "public")
    status, body = ask(
        gateway, modern("server/discover"), {"MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
    )
    assert status == 200
    assert MODERN in json.loads(body)["result"]["supportedVersions"]


@pytest.mark.parametrize("origin", ["https://evil.com", "null", "http://localhost.evil.com"])
def test_foreign_origin(gateway: Gateway, origin: str) -> None:
    """A page of another site is refused before anything runs."""
    status, body = ask(gateway, rpc("tools/list"), {"Origin": origin})
    assert (status, body) == (403, b"This Origin may not ask here (server.allowed_origins)\n")


@pytest.mark.parametrize("host", ["evil.com", "localhost.evil.com", "127.0.0.1.nip.io:8765"])
@pytest.mark.parametrize("path", ["/mcp", "/"])
def test_foreign_host(gateway: Gateway, host: str, path: str) -> None:
    """A name that is not ours is misdirected, whatever the path."""
    assert ask(gateway, rpc("tools/list"), {"Host": host}, path=path)[0] == 421


@pytest.mark.parametrize("host", ["evil.com", "localhost.evil.com"])
def test_foreign_host_of_the_admin_site(gateway: Gateway, host: str) -> None:
    """The admin site checks names too."""
    connection = http.client.HTTPConnection(gateway.admin.removeprefix("http://"), timeout=30)
    connection.request("GET", "/healthz", headers={"Host": host})
    assert connection.getresponse().status == 421
    connection.close()


def test_local_origin(gateway: Gateway) -> None:
    """A page of this machine may ask."""
    assert ask(gateway, rpc("tools/list"), {"Origin": "http://localhost:3000"})[0] == 200


def test_body_over_the_limit(gateway: Gateway) -> None:
    """A body over the limit is refused, whether it says so or not."""
    assert ask(gateway, b" " * 100_001)[0] == 413
    alive(gateway)


def test_chunked_body_over_the_limit(gateway: Gateway) -> None:
    """A body without a length is cut at the limit."""
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Accept: application/json, text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    status = raw(gateway, head + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 4 + b"0\r\n\r\n")
    assert status == 413
    alive(gateway)


def raw(gateway: Gateway, data: bytes) -> int:
    """The status that some bytes are answered with; 0 where the connection is closed without."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused while it was still sent
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data", ""]
)
def test_wrong_content_type(gateway: Gateway, content_type: str) -> None:
    """What a form of a foreign page can send without asking is not taken for JSON."""
    assert ask(gateway, rpc("tools/list"), {"Content-Type": content_type})[0] in (400, 415)


@pytest.mark.parametrize(
    ("method", "params", "headers"),
    [
        ("tools/list", {}, {"Mcp-Method": "tools/call"}),
        ("tools/list", {}, {}),
        ("tools/call", {"name": "list_components"}, {"Mcp-Method": "tools/call", "Mcp-Name": "get_component_props"}),
        ("tools/call", {"name": "list_components"}, {"Mcp-Method": "tools/call"}),
        ("tools/call", {"name": "list_components"}, {"Mcp-Method": "tools/call", "Mcp-Name": "LIST_COMPONENTS"}),
        ("tools/call", {"name": "list_components"}, {"Mcp-Method": "tools/call", "Mcp-Name": "=?base64?bm9wZQ==?="}),
    ],
)
def test_headers_that_differ_from_the_body(
    gateway: Gateway, method: str, params: dict[str, Any], headers: dict[str, str]
) -> None:
    """A proxy that routes by header and the gateway that reads the body never see two different requests."""
    status, body = ask(gateway, modern(method, params), {"MCP-Protocol-Version": MODERN, **headers})
    assert (status, code_of(body)) == (400, -32020)


def test_another_version(gateway: Gateway) -> None:
    """A revision that nobody speaks is refused with those that are spoken."""
    body = json.loads(modern("tools/list"))
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"
    headers = {"MCP-Protocol-Version": "2099-01-01", "Mcp-Method": "tools/list"}
    status, answer = ask(gateway, json.dumps(body).encode(), headers)
    assert (status, code_of(answer)) == (400, -32022)


DEEP = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_components","arguments":{"search":%b%b}}}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"1",
        b'"x"',
        b"[]",
        b"[" + rpc("tools/list") + b"]",
        b"[" + rpc("tools/list") + b"," + rpc("tools/list") + b"]",
        rpc("tools/list").replace(b'"2.0"', b'"1.0"'),
        rpc("tools/list").replace(b'"id": 1', b'"id": null'),
        rpc("tools/list").replace(b'"id": 1', b'"id": {}'),
        rpc("tools/list").replace(b'"id": 1', b'"id": 1.5'),
        rpc("tools/list").replace(b'"id": 1', b'"id": NaN'),
        rpc("tools/call", {"name": "list_components", "arguments": {"search": 0}}).replace(b"0}", b"NaN}"),
        rpc("tools/call", {"name": 7}),
        rpc("tools/call", {"name": "list_components", "arguments": []}),
        rpc("tools/call", {"name": "list_components", "arguments": "x"}),
        rpc("tools/call"),
        rpc("nope/nope"),
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}',
        b"\xff\xfe\x00",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/\xff"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        DEEP % (b"[" * 40_000, b"]" * 40_000),
        b"[" * 99_000,
        b'{"a":' * 15_000,
    ],
    ids=lambda body: body[:60].decode("latin-1").encode("unicode_escape").decode(),
)
@pytest.mark.parametrize("era", ["handshake", "modern"])
def test_no_request(gateway: Gateway, body: bytes, era: str) -> None:
    """What is no proper request gets an error, never a result, and the next request is served."""
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"} if era == "modern" else {}
    status, answer = ask(gateway, body, headers)
    assert status < 500
    if status < 300 and answer:
        reply = json.loads(answer)
        assert "error" in reply or reply["result"].get("isError")
    alive(gateway)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"name": "nope"}, -32602),
        ({"name": ""}, -32602),
        ({"name": "List_Components"}, -32602),
        ({"name": "\x1b[31m"}, -32602),
    ],
)
def test_unknown_tool(gateway: Gateway, params: dict[str, Any], code: int) -> None:
    """A tool that is not there is an error of the protocol."""
    assert code_of(ask(gateway, rpc("tools/call", params))[1]) == code


@pytest.mark.parametrize("cursor", ["made-up", "", "1", "eyJvZmZzZXQiOjF9"])
def test_made_up_cursor(gateway: Gateway, cursor: str) -> None:
    """A cursor that nobody was given is refused."""
    assert code_of(ask(gateway, rpc("tools/list", {"cursor": cursor}))[1]) == -32602


@pytest.mark.parametrize("arguments", [None, {}])
def test_null_arguments(gateway: Gateway, arguments: object) -> None:
    """Null arguments are none: here one is required."""
    _, body = ask(gateway, rpc("tools/call", {"name": "get_component_props", "arguments": arguments}))
    result = json.loads(body)["result"]
    assert result["isError"]
    assert '"name" is a required property' in result["content"][0]["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "x" * 65},
        {"name": ""},
        {"name": 1},
        {"name": None},
        {"name": ["button"]},
        {"name": "a", "locale": "xx"},
        {"name": "a", "nope": 1},
        {"name": 2**70},
    ],
)
def test_wrong_arguments(gateway: Gateway, arguments: object) -> None:
    """Wrong arguments are an error of the tool with a sentence, and no upstream is asked."""
    _, body = ask(gateway, rpc("tools/call", {"name": "get_component_props", "arguments": arguments}))
    result = json.loads(body)["result"]
    assert result["isError"]
    assert result["content"][0]["text"].startswith("Invalid arguments: ")


@pytest.mark.parametrize("identity", [0, -1, 2**53, "", "a\x00b", "x" * 1000, "\u2028"])
def test_ids_come_back(gateway: Gateway, identity: object) -> None:
    """A request's id comes back as it was."""
    assert json.loads(ask(gateway, rpc("ping", id=identity))[1])["id"] == identity


def test_a_notification_is_not_answered(gateway: Gateway) -> None:
    """A notification is accepted without a body."""
    assert ask(gateway, b'{"jsonrpc":"2.0","method":"notifications/initialized"}') == (202, b"")


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/mcp/", 404), ("/mcp/../x", 404), ("/%6dcp", 200)])
def test_paths(gateway: Gateway, path: str, status: int) -> None:
    """MCP is at its path and nowhere else."""
    assert ask(gateway, rpc("tools/list"), path=path)[0] == status


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("version", ["2025-11-25", MODERN])
def test_methods(gateway: Gateway, method: str, version: str) -> None:
    """Where there are no sessions, only POST means something; nothing hangs."""
    assert ask(gateway, b"", {"MCP-Protocol-Version": version}, method=method)[0] == 405


@pytest.mark.parametrize(
    "head",
    [
        b"POST /mcp HTTP/1.1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        b"POST /mcp HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1",
        b"nonsense\r\n\r\n",
        b"\0" * 1000,
    ],
    ids=lambda head: head[:40].decode("latin-1").encode("unicode_escape").decode(),
)
def test_no_http(gateway: Gateway, head: bytes) -> None:
    """What is no proper HTTP is refused or dropped, and the next request is served."""
    assert raw(gateway, head) in (0, 400, 413, 415, 421, 431)
    alive(gateway)


def test_clients_that_leave(gateway: Gateway) -> None:
    """Clients that reset their connections in the middle end nothing."""
    for part in (
        b"",
        b"POST /mcp HTTP/1.1\r\nHost: loc",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ):
        connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(part)
        connection.close()
    alive(gateway)


def test_health_and_readiness(gateway: Gateway) -> None:
    """The admin site says that the gateway lives, and whether it is ready, with what."""
    connection = http.client.HTTPConnection(gateway.admin.removeprefix("http://"), timeout=30)
    connection.request("GET", "/healthz")
    health = connection.getresponse()
    assert (health.status, json.loads(health.read())["status"]) == (200, "ok")
    connection.request("GET", "/readyz")
    ready = connection.getresponse()
    assert (ready.status, json.loads(ready.read())) == (
        200,
        {"status": "ready", "tools": len(varlet.TOOLS), "tiers": ["memory", "disk"]},
    )
    connection.request("GET", "/nope")
    assert connection.getresponse().status == 404
    connection.close()


def test_the_log_stays_one_line_each(gateway: Gateway) -> None:
    """Whatever was sent, the log is whole JSON lines without a traceback or a control character."""
    alive(gateway)
    _, _, log = gateway.stderr.partition("  client ")
    for line in log.splitlines()[1:]:
        assert json.loads(line)["level"] in ("info", "warning"), line
    assert "Traceback" not in gateway.stderr
