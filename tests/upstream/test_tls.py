"""TLS to a vetted address: the certificate must be for the name in the profile. (cryptography comes with mcp.)"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import UpstreamUnavailable
from gateway.upstream.client import open_client
from tests.upstream.asking import section


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a self-signed certificate for registry.example, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry.example")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("registry.example")])
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def port(nursery: trio.Nursery, certificate: Path) -> int:
    """A TLS server that answers every request with its Host header."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def answer_host(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            head = bytes(await stream.receive_some()).decode()
        except trio.BrokenResourceError:
            return  # the client did not like the certificate
        host = next(line for line in head.split("\r\n") if line.lower().startswith("host: ")).removeprefix("Host: ")
        await stream.send_all(f"HTTP/1.1 200 OK\r\nContent-Length: {len(host)}\r\n\r\n{host}".encode())
        await stream.aclose()

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, answer_host, [trio.SSLListener(listener, context)])
    number: int = listener.socket.getsockname()[1]
    return number


async def loopback(_host: str, _port: int) -> Sequence[str]:
    """Resolves every name to this machine."""
    await trio.lowlevel.checkpoint()
    return ["127.0.0.1"]


async def get(url: str) -> bytes:
    async with open_client("api", section(private_addresses=True), resolve=loopback) as client:
        return (await client.get(httpx2.URL(url))).body


async def test_the_name_stays_the_name(certificate: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is dialled, but TLS and the Host header are about the name."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await get(f"https://registry.example:{port}/doc") == f"registry.example:{port}".encode()


async def test_a_certificate_for_another_name(certificate: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says that it was TLS, and why."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(UpstreamUnavailable) as raised:
        await get(f"https://other.example:{port}/doc")
    assert str(raised.value) == (
        f"api: no connection to https://other.example:{port}/doc: "
        "TLS: Hostname mismatch, certificate is not valid for 'other.example'."
    )


async def test_a_certificate_that_nobody_vouches_for(port: int) -> None:
    """A self-signed one that the system does not know."""
    with pytest.raises(UpstreamUnavailable, match=r"/doc: TLS: self[- ]signed certificate$"):
        await get(f"https://registry.example:{port}/doc")
