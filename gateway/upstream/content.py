"""What a body claims to be, and whether it is: media types, charsets, JSON."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath

import orjson

from gateway.errors import UpstreamInvalid
from gateway.printable import printable
from gateway.upstream.charsets import NoCharset, codec_of, decode
from gateway.upstream.model import JSON

_MEDIA_TYPE = re.compile(r"[!#$&^_.+a-z0-9-]{1,127}/[!#$&^_.+a-z0-9-]{1,127}")  # RFC 6838, section 4.2
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]{1,40})"?\s*(?:;|$)', re.IGNORECASE)
_ANY_CHARSET = re.compile(r";\s*charset\s*=\s*([^;]*)", re.IGNORECASE)

_TEXT = frozenset(
    {
        JSON,
        "application/ecmascript",
        "application/javascript",
        "application/toml",
        "application/x-javascript",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
        "image/svg+xml",
    }
)

_NO_DATA = frozenset({"application/xhtml+xml", "image/svg+xml"})

_SUFFIXES = {
    ".json": JSON,
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".cjs": "text/javascript",
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
    "": "text/plain",
    **dict.fromkeys((".txt", ".ts", ".mts", ".cts", ".tsx", ".jsx", ".vue", ".less", ".scss"), "text/plain"),
}


def media_type_of(path: str) -> str:
    """The media type of a file of a package, by its suffix; `application/octet-stream` for an unknown one."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")


def parse_content_type(value: str) -> tuple[str, str]:
    """The media type, in lower case and without parameters, and the charset of a Content-Type (RFC 9110, section 8.3).

    Either is empty where it is missing; a media type that is none is empty too.
    """
    media_type = value.partition(";")[0].strip().lower()
    charset = _CHARSET.search(value) or _ANY_CHARSET.search(value)
    return (media_type if _MEDIA_TYPE.fullmatch(media_type) else ""), (charset[1].strip() if charset else "")


def is_text(media_type: str) -> bool:
    """Whether bodies of this type are text, and so are kept as UTF-8."""
    return media_type.startswith("text/") or media_type in _TEXT or media_type.endswith(("+json", "+xml"))


def is_json(media_type: str) -> bool:
    """Whether bodies of this type are one JSON value (RFC 8259; the suffix: RFC 6839, section 3.1)."""
    return media_type in (JSON, "text/json") or media_type.endswith("+json")


def is_xml(media_type: str) -> bool:
    """Whether bodies of this type are data in XML (RFC 7303); pictures and pages in it are texts."""
    return media_type in ("application/xml", "text/xml") or (media_type.endswith("+xml") and media_type not in _NO_DATA)


def is_html(media_type: str) -> bool:
    """Whether bodies of this type are pages."""
    return media_type in ("text/html", "application/xhtml+xml")


def checked_body(upstream: str, what: str, body: bytes, media_type: str, charset: str = "") -> bytes:
    """`body` as it is kept: UTF-8 without a byte order mark if it is text, and as it is if it is not.

    Text is decoded by its byte order mark, `charset`, or what it says of itself; else it is UTF-8. Raises
    UpstreamInvalid, about `what`, for a charset that is unknown or not followed, and for a body that is no JSON
    although its type says so; that includes NaN, numbers beyond a double, lone surrogates, and a depth of more than
    1024 (orjson's limits).
    """
    if not is_text(media_type):
        return body
    text = _utf8(upstream, what, body, charset, media_type)
    if is_json(media_type):
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise UpstreamInvalid(upstream, f"{what} said it was JSON but is not: {printable(str(error))}") from None
    return text


def _utf8(upstream: str, what: str, body: bytes, declared: str, media_type: str) -> bytes:
    try:
        codec = codec_of(body, declared, media_type)
        text = decode(body, codec)
    except NoCharset as error:
        raise UpstreamInvalid(upstream, f"{what} is in the unknown charset {printable(str(error))!r}") from None
    except UnicodeDecodeError as error:
        reason = f"byte {error.start}: {error.reason}"
        raise UpstreamInvalid(upstream, f"{what} is not the {codec} text that it said it was: {reason}") from None
    return body.removeprefix(codecs.BOM_UTF8) if codec == "utf-8" else text.encode()
