"""What a body claims to be, and whether it is: media types, charsets, JSON."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath

import orjson

from gateway.errors import UpstreamInvalid
from gateway.upstream.model import JSON
from gateway.upstream.printable import printable

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

CHARSETS = frozenset(
    {"ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "koi8-r", "koi8-u", "mac-roman", "big5", "gb2312"}
    | {"gbk", "gb18030", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr"}
    | {f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))}
    | {f"cp{page}" for page in (874, 932, 949, 950, *range(1250, 1259))}
)
"""Python's names of the charsets that the web uses (WHATWG Encoding, section 4.2), and no other codec of Python's: some
are no charsets (`rot13`, `unicode_escape`), and some take quadratic time (`punycode`, `idna`)."""

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


def checked_body(upstream: str, what: str, body: bytes, media_type: str, charset: str = "") -> bytes:
    """`body` as it is kept: UTF-8 without a byte order mark if it is text, and as it is if it is not.

    Text is decoded by `charset`, or as UTF-8 where that is empty. Raises UpstreamInvalid, about `what`, for a charset
    that is unknown or not followed, and for a body that is no JSON although its type says so; that includes NaN,
    numbers beyond a double, lone surrogates, and a depth of more than 1024 (orjson's limits).
    """
    if not is_text(media_type):
        return body
    text = _utf8(upstream, what, body, charset or "utf-8")
    if is_json(media_type):
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise UpstreamInvalid(upstream, f"{what} said it was JSON but is not: {printable(str(error))}") from None
    return text


def _utf8(upstream: str, what: str, body: bytes, charset: str) -> bytes:
    try:
        codec = codecs.lookup(charset).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in CHARSETS:
        raise UpstreamInvalid(upstream, f"{what} is in the unknown charset {printable(charset)!r}")
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        reason = f"byte {error.start}: {error.reason}"
        raise UpstreamInvalid(upstream, f"{what} is not the {codec} text that it said it was: {reason}") from None
    if codec == "utf-8":
        return body.removeprefix(codecs.BOM_UTF8)
    return text.removeprefix("\ufeff").encode()
