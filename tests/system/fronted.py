"""A small catalogue for the front, gateways that serve it, and raw conversations with them."""

from __future__ import annotations

import json
import re
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.processes import Gateway

PROFILE = """
extends = ["base.toml"]
[cache.disk]
enabled = false
[strategies.kept]
ttl = "1h"
[upstreams.docs]
type = "files"
root = "{root}"
[tools.doc]
description = "A document, as it is: é"
title = "Document"
strategy = "kept"
tags = ["doc:{{name}}"]
[tools.doc.input]
required = ["name"]
[tools.doc.input.properties]
name = {{ type = "string", description = "its name" }}
n = {{ type = "integer", default = 5 }}
deep = {{ description = "anything" }}
[tools.doc.normalize]
name = "lower(trim(name))"
[tools.doc.fetch]
upstream = "docs"
path = "{{name}}.json"
[tools.long]
description = "A long document, in parts"
strategy = "kept"
[tools.long.fetch]
upstream = "docs"
path = "long.json"
[tools.long.result]
max_output = "20KB"
pages_of = ["rows"]
[tools.text]
description = "A text"
strategy = "kept"
[tools.text.fetch]
upstream = "docs"
path = "text.txt"
[tools.text.result]
format = "text"
[tools.changing]
description = "Never kept"
strategy = "kept"
annotations = {{ read_only = false }}
[tools.changing.fetch]
upstream = "docs"
path = "a.json"
[tools.headed]
description = "An argument that stands in a header as well"
strategy = "kept"
[tools.headed.input.properties]
region = {{ type = "string", x-mcp-header = "Region" }}
[tools.headed.fetch]
upstream = "docs"
path = "a.json"
"""

_DATE = re.compile(rb"^date: .*\r\n", re.M | re.I)
_PASSING = re.compile(rb'"(age|expires)":[0-9.e-]+')


def write_profile(folder: Path) -> Path:
    """The profile's file."""
    root = folder / "docs"
    root.mkdir()
    (root / "a.json").write_text('{"b": null, "a": [1, 2.0, 1e16, 1e-7, true], "c": {"z": 1, "a": "text"}}')
    (root / "unicode.json").write_text('{"a": "é€😀\\u007f\\u2028 </script>"}')
    (root / "long.json").write_text(json.dumps({"rows": [f"row {number}" for number in range(4000)]}))
    (root / "text.txt").write_text("one\ntwo é\n")
    path = folder / "fronted.toml"
    path.write_text(PROFILE.format(root=root))
    return path


@contextmanager
def fronted(folder: Path, *more: str, told: bool = False) -> Iterator[Gateway]:
    """A gateway that serves the profile; it has to live, and to end well, which it may have been `told` to already."""
    with Gateway.serving(folder, "--profile", str(folder / "fronted.toml"), *more) as gateway:
        yield gateway
        assert (gateway.wait() if told else gateway.stop()) == 0


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: tuple[bytes, ...]
    """The lines but for the date, in their order, names in lower case."""
    body: bytes

    @property
    def comparable(self) -> tuple[int, tuple[bytes, ...], bytes]:
        """What has to be the same whoever answers: of times that pass, only that they are told."""
        headers = tuple(line for line in self.headers if not line.startswith(b"content-length"))
        return self.status, headers, _PASSING.sub(rb'"\1":0', self.body)


def connect(gateway: Gateway) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_answer(connection: socket.socket, buffer: bytearray, *, bodiless: bool = False) -> Answer | None:
    """The next answer; None where the connection ends before one does. Interim answers are passed over."""
    while True:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if not _more(connection, buffer):
                return None
        head = bytes(buffer[:end])
        status = int(head.split(b" ", 2)[1])
        del buffer[: end + 4]
        if status >= 200:
            break
    _, *lines = _DATE.sub(b"", head + b"\r\n").splitlines()
    headers = {line.split(b":", 1)[0].lower(): line.split(b":", 1)[1].strip() for line in lines}
    body = b""
    if not bodiless:
        body = _body(connection, buffer, headers)
    if headers.get(b"content-encoding") == b"gzip":
        body = zlib.decompress(body, zlib.MAX_WBITS | 16)
    named = (b"%b: %b" % (line.split(b":", 1)[0].lower(), line.split(b":", 1)[1].strip()) for line in lines)
    return Answer(status, tuple(named), body)


def ask(gateway: Gateway, request: bytes) -> Answer | None:
    """The answer to one request on a connection of its own."""
    with connect(gateway) as connection:
        connection.sendall(request)
        return read_answer(connection, bytearray(), bodiless=request.startswith(b"HEAD"))


def _body(connection: socket.socket, buffer: bytearray, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            while b"\r\n" not in buffer:
                assert _more(connection, buffer)
            line, _, _ = bytes(buffer).partition(b"\r\n")
            size = int(line, 16)
            while len(buffer) < len(line) + size + 4:
                assert _more(connection, buffer)
            body += buffer[len(line) + 2 : len(line) + 2 + size]
            del buffer[: len(line) + size + 4]
            if not size:
                return body
    size = int(headers.get(b"content-length", b"0"))
    while len(buffer) < size:
        assert _more(connection, buffer)
    body = bytes(buffer[:size])
    del buffer[:size]
    return body


def _more(connection: socket.socket, buffer: bytearray) -> bool:
    try:
        data = connection.recv(65536)
    except ConnectionResetError:
        return False
    buffer += data
    return bool(data)
