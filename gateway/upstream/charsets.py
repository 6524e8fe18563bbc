"""From the bytes of a text to the text: which charset it is in, by the rules of the web (WHATWG Encoding and HTML)."""

from __future__ import annotations

import codecs
import re

import webencodings

CHARSETS = frozenset(
    {"ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "koi8-r", "koi8-u", "mac-roman", "big5", "gb2312"}
    | {"gbk", "gb18030", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr"}
    | {f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))}
    | {f"cp{page}" for page in (874, 932, 949, 950, *range(1250, 1259))}
)
"""Python's names of the charsets that are taken where the web has no such label, and no other codec of Python's: some
are no charsets (`rot13`, `unicode_escape`), and some take quadratic time (`punycode`, `idna`)."""

_NO_CHARSETS = frozenset({"replacement", "x-user-defined"})  # the web's own: one stands for refusing, one for bytes
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_XML_DECLARATION = re.compile(rb"<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_META = re.compile(rb"<meta\s[^>]*?\bcharset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_PRESCAN = 1024
"""Bytes at whose beginning a document has to say its charset (HTML, section 13.2.3.2)."""


class NoCharset(ValueError):
    """A charset that is unknown."""


def codec_of(body: bytes, declared: str, media_type: str) -> str:
    """Python's name of the codec that `body` is in; raises NoCharset.

    A byte order mark counts first, then what was `declared` with the answer, then what the document says of itself
    (XML, HTML); else it is UTF-8, or for HTML that is none, windows-1252.
    """
    marked = next((codec for mark, codec in _MARKS if body.startswith(mark)), None)
    if marked is not None:
        return marked
    label = declared or _of_itself(body, media_type)
    if label:
        return _codec(label)
    return "cp1252" if media_type == "text/html" and not _is_utf8(body) else "utf-8"


def decode(body: bytes, codec: str) -> str:
    """The text, without a byte order mark; raises UnicodeDecodeError."""
    return body.decode(codec, "gateway-c1" if codec == "cp1252" else "strict").removeprefix("\ufeff")


def _of_itself(body: bytes, media_type: str) -> str:
    head = body[:_PRESCAN]
    if media_type.endswith(("/xml", "+xml")):
        found = _XML_DECLARATION.match(head.lstrip())
    else:
        found = _META.search(head) if media_type == "text/html" else None
    label = found[1].decode() if found is not None else ""
    # Who could be read so far is in no such charset (HTML, section 13.2.3.3).
    return "utf-8" if label.lower().startswith("utf-16") else label


def _codec(label: str) -> str:
    encoding = webencodings.lookup(label) if label.isascii() else None
    if encoding is not None and encoding.name not in _NO_CHARSETS:
        return str(encoding.codec_info.name)
    try:
        codec = codecs.lookup(label).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in CHARSETS:
        raise NoCharset(label)
    return codec


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _c1(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that windows-1252 leaves out are control characters of the same number (WHATWG Encoding)."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("gateway-c1", _c1)
