"""Addresses in a profile: plain, and with a template in the path only."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from gateway.profile.section import Template, expected
from gateway.profile.templates import fields


def _http_url(value: str) -> str:
    """Refuse whatever is not an http(s) address without user part and fragment."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise expected('an address such as "https://example.org/api", without a user name')
    if parts.fragment:
        raise expected("an address without #")
    return value


def _plain_http_url(value: str) -> str:
    """Refuse a query, too."""
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.query or parts.fragment:
        raise expected("an address without ? and #; use query = { … } of the fetch")
    return _http_url(value).rstrip("/")


def _endpoint(value: str) -> str:
    _plain_http_url(value)
    return value  # unlike a base, it is asked for as it is: with its slash at the end


def _template_in_path_only(value: str) -> str:
    if fields(urlsplit(value).netloc.replace("{{", "").replace("}}", "")):
        raise expected("a template in the path only, never in scheme, host or port")
    return value


BaseUrl = Annotated[Template, AfterValidator(_plain_http_url), AfterValidator(_template_in_path_only)]
FixedUrl = Annotated[str, AfterValidator(_plain_http_url)]
QueryUrl = Annotated[str, AfterValidator(_http_url)]
"""With a query, where the profile has no other place for one."""
EndpointUrl = Annotated[str, AfterValidator(_endpoint)]
