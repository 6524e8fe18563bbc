"""The head of an HTTP/1.1 request: whether it may be answered here, decided once for each that is seen.

llhttp reads it, strictly (RFC 9112): two lengths, a length beside a transfer coding, line feeds alone, folded lines and
blanks before a colon are refused, since another server on the way might see another request there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import httptools

from gateway.profile.serving import Server
from gateway.serving.admission import ANYONE, Client, caller_of
from gateway.serving.direct.envelope import Envelope
from gateway.serving.direct.packing import Coding
from gateway.serving.protocol import HANDSHAKE_VERSIONS, MODERN_VERSION
from gateway.telemetry.tracing import tracing

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""

_SINGLE = frozenset(
    {b"host", b"content-type", b"accept", b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"authorization"}
)
"""Headers of which a second one is for others to judge."""
_FOREIGN = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"})
"""Headers that ask for something that is not done here."""

_MOST = 512
_LONG = 4096
"""Heads that are remembered, and bytes of one that is not."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says."""

    size: int
    """Bytes, with the empty line."""
    length: int = 0
    """Bytes of the body."""
    envelope: Envelope | None = None
    """None: the request is for hypercorn."""
    last: bool = False
    """The client wants the connection to be closed after the answer."""
    fault: str | None = None
    """What is wrong with its framing; nothing more can be read from the connection then."""
    authorizations: tuple[bytes, ...] = ()
    """The values of `Authorization`."""
    forwarded: tuple[bytes, ...] = ()
    """The values of `X-Forwarded-For`."""
    _of_clients: dict[str, Envelope] = field(default_factory=dict)

    @property
    def modern(self) -> bool:
        """Whether it is of the era in which each request stands for itself."""
        return self.envelope is not None and self.envelope.modern

    def of_client(self, client: Client, envelope: Envelope) -> Envelope:
        """The envelope of a request that `client` was admitted with; private answers are its own."""
        if not client.name:
            return envelope
        known = self._of_clients.get(client.name)
        if known is None:
            known = self._of_clients[client.name] = replace(envelope, caller=caller_of(client, ""))
        return known


class Heads:
    """Reads heads, those that come again only once."""

    def __init__(self, section: Server, is_welcome: Callable[[Headers], bool]) -> None:
        self._first = f"POST {section.path} HTTP/1.1\r\n".encode()  # llhttp would also take more blanks
        self._streams = section.response == "stream"
        self._sessions = section.sessions
        self._codings = section.compression
        self._is_welcome = is_welcome
        self._known: dict[bytes, Head] = {}

    def known(self, data: bytes) -> Head | None:
        """The head in `data`, where it was read before and is remembered."""
        return self._known.get(data)

    def read(self, data: bytes) -> Head:
        """The head in `data`, which ends with the first empty line."""
        head = self._known.get(data)
        if head is None:
            head = self._read(data)
            if len(data) <= _LONG:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[data] = head
        return head

    def _read(self, data: bytes) -> Head:
        reading = _Reading()
        parser = httptools.HttpRequestParser(reading)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserInvalidMethodError):
            return Head(len(data))
        except httptools.HttpParserError as error:
            return Head(len(data), fault=str(error))
        if not reading.complete:
            return Head(len(data), fault="the head does not end where it should")
        found = defaultdict(list)
        for name, value in reading.headers:
            found[name].append(value)
        lengths = found[b"content-length"]
        is_ours = (
            data.startswith(self._first)
            and len(lengths) == 1
            and not parser.should_upgrade()
            and not any(name in found for name in _FOREIGN)
            and not any(len(found[name]) > 1 for name in _SINGLE)
            and self._is_welcome(reading.headers)
        )
        envelope = self._envelope({name: values[0] for name, values in found.items() if values}) if is_ours else None
        if envelope is None:
            return Head(len(data))
        return Head(
            len(data),
            int(lengths[0]),
            envelope,
            last=not parser.should_keep_alive(),
            authorizations=tuple(found[b"authorization"]),
            forwarded=tuple(found[b"x-forwarded-for"]),
        )

    def _envelope(self, found: dict[bytes, bytes]) -> Envelope | None:
        """What MCP's headers say; None where the SDK has to look."""
        said = found.get(b"mcp-protocol-version")
        version = None if said is None else said.decode("latin-1")
        modern = version == MODERN_VERSION
        if not (modern or version is None or version in HANDSHAKE_VERSIONS):
            return None
        if not modern and (self._streams or self._sessions):  # who has which session, and until when, the SDK knows
            return None
        if found.get(b"content-type", b"").partition(b";")[0].strip() != b"application/json":
            return None
        takes_json, takes_streams = _accepted(found.get(b"accept", b"").decode("latin-1"))
        if not takes_json or (self._streams and not takes_streams):
            return None
        method, name = found.get(b"mcp-method"), found.get(b"mcp-name")
        if name is not None and name.startswith(b"=?"):  # it is encoded
            return None
        credential = found.get(b"authorization", b"").decode("latin-1")
        trace = {key.decode(): found[key].decode("latin-1") for key in (b"traceparent", b"tracestate") if key in found}
        return Envelope(
            version,
            modern,
            method.decode("latin-1") if modern and method is not None else None,
            name.decode("latin-1") if modern and name is not None else None,
            caller=caller_of(ANYONE, credential),
            coding=self._coding(found.get(b"accept-encoding", b"").decode("latin-1")),
            trace=trace if tracing() else {},
        )

    def _coding(self, accepted: str) -> Coding | None:
        """The best coding that the client takes (RFC 9110, section 12.5.3)."""
        weights: dict[str, float] = {}
        for part in accepted.lower().split(","):
            coding, _, parameter = part.partition(";")
            name, _, weight = parameter.strip().partition("=")
            try:
                weights[coding.strip()] = float(weight) if name.strip() == "q" else 1.0
            except ValueError:
                weights[coding.strip()] = 0.0
        anything = weights.get("*", 0.0)
        return next((coding for coding in self._codings if weights.get(coding, anything) > 0), None)


class Probe:
    """Reads a head that arrives in parts, to see early that it can't become one."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(_Reading())

    def fault(self, data: bytes) -> str | None:
        """What is wrong with the head so far, `data` being what came next."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserInvalidMethodError):
            return None
        except httptools.HttpParserError as error:
            return str(error)
        return None


class _Reading:
    """What llhttp tells."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def _accepted(accept: str) -> tuple[bool, bool]:
    """Whether the client takes JSON, and event streams, as the SDK sees it."""
    types = [part.strip().split(";")[0].strip().lower() for part in accept.split(",")]
    anything = "*/*" in types
    return (
        anything or "application/json" in types or "application/*" in types,
        anything or "text/event-stream" in types or "text/*" in types,
    )
