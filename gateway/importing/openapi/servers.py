"""Where an API is, and how it is told who asks: the upstreams of an imported catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from gateway.importing.openapi.document import Document, mapping, text
from gateway.importing.openapi.operation import Operation
from gateway.importing.source import SpecificationError, is_address
from gateway.importing.toml import Written, comment, table
from gateway.printable import printable

_VARIABLES = 50


def base_url(document: Document, operation: Operation, given: str | None) -> str:
    """The address of an operation's server: `given`, or the first that the specification names for it.

    Variables have their defaults, and a relative address begins at the specification's own. Raises SpecificationError
    where there is no address that a profile could have.
    """
    if given is not None:
        return _checked(document, given)
    for said in (operation.said, operation.shared, document.root):
        servers = said.get("servers")
        if isinstance(servers, list) and servers:
            return _checked(document, _filled(mapping(servers[0])))
    return _checked(document, "/")


def _filled(server: Mapping[str, Any]) -> str:
    url = text(server.get("url"))
    for name, variable in list(mapping(server.get("variables")).items())[:_VARIABLES]:
        url = url.replace(f"{{{name}}}", text(mapping(variable).get("default")))
    return url


def _checked(document: Document, url: str) -> str:
    whole = urljoin(document.name, url) if is_address(document.name) else url
    try:
        parts = urlsplit(whole)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    sound = parts.scheme in ("http", "https") and host and parts.username is None and not parts.query
    if not sound or parts.fragment or "{" in whole or "}" in whole:
        raise SpecificationError(
            f"{document.name}: expected a server's address such as https://api.example.org/v1, found "
            f"{printable(url, 200)}; say it with --base-url"
        )
    return whole.rstrip("/")


def upstream_table(document: Document, name: str, url: str) -> str:
    """`[upstreams.NAME]`, with what the specification says of credentials as comments to take up."""
    return table(("upstreams", name), {"type": "http", "base_url": url}) + "".join(_credentials(document, name))


def _credentials(document: Document, name: str) -> Iterator[str]:
    schemes = mapping(mapping(document.root.get("components")).get("securitySchemes"))
    for said, scheme in list(schemes.items())[:20]:
        try:
            about = mapping(document.resolved(scheme))
        except SpecificationError:
            about = {}  # it leads nowhere; an API whose credentials are not told can be imported still
        section = _auth(about, f"${{credential:{_credential(name, said)}}}")
        if section is None:
            yield comment(f"The specification's {said} ({text(about.get('type'))}) is nothing that a profile can say.")
            continue
        why = text(about.get("description")).partition("\n")[0]
        yield comment(
            f"Credentials as in {said}{': ' + why if why else ''}. Give the file by systemd's LoadCredential=."
        )
        yield comment(*table(("upstreams", name, "auth"), section).splitlines())


def _auth(scheme: Mapping[str, Any], secret: str) -> dict[str, Any] | None:
    """`[upstreams.NAME.auth]` for a security scheme; None where there is no such."""
    credential = Written(secret)
    match scheme.get("type"), text(scheme.get("scheme")).lower(), scheme.get("in"):
        case "http", "basic", _:
            return {"type": "basic", "username": "NAME", "password": credential}
        case ("http", "bearer", _) | ("openIdConnect", _, _):
            return {"type": "bearer", "token": credential}
        case "apiKey", _, "header":
            return {"type": "header", "name": text(scheme.get("name")), "value": credential}
        case "apiKey", _, "cookie":
            return {"type": "header", "name": "Cookie", "value": Written(f"{text(scheme.get('name'))}={secret}")}
        case "oauth2", _, _:
            flow = mapping(mapping(scheme.get("flows")).get("clientCredentials"))
            if not flow:
                return {"type": "bearer", "token": credential}
            token_url = text(flow.get("tokenUrl"))
            return {"type": "oauth", "token_url": token_url, "client_id": "NAME", "client_secret": credential}
        case _:
            return None


def _credential(name: str, said: str) -> str:
    return "".join(character if character.isalnum() and character.isascii() else "-" for character in f"{name}-{said}")
