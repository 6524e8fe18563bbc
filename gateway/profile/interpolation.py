"""`${NAME}`, `${NAME:-default}` and `${credential:NAME}` in the strings of a profile; `$${` is a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway.profile.faults import Finding, did_you_mean
from gateway.profile.positions import KeyPath
from gateway.profile.tree import Node

MAX_CREDENTIAL = 1_000_000
"""Largest credential file; systemd's own limit (systemd.exec(5), LoadCredential=)."""

_REFERENCE = re.compile(r"(?P<literal>\$\$\{)|\$\{(?P<inside>[^{}]*)\}|(?P<unclosed>\$\{)")
_INSIDE = re.compile(r"credential:(?P<credential>.*)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}")


class _Missing(Exception):
    """What a reference needs and does not find."""

    def __init__(self, expected: str, found: str, near: str | None = None) -> None:
        self.expected, self.found, self.near = expected, found, near
        super().__init__(expected)


def interpolate(root: Node, environ: Mapping[str, str]) -> tuple[Node, tuple[Finding, ...]]:
    """The tree with every `${…}` in a string value filled in, and what could not be.

    A string that could not be filled in stays as written. Keys are left alone, and what is filled in is
    not looked at again: a variable's value can't refer to another.
    """
    findings: list[Finding] = []

    def fill(node: Node, path: KeyPath) -> Node:
        if isinstance(node.value, dict):
            return replace(node, value={key: fill(child, (*path, key)) for key, child in node.value.items()})
        if isinstance(node.value, list):
            return replace(node, value=[fill(child, (*path, index)) for index, child in enumerate(node.value)])
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        try:
            value = _REFERENCE.sub(lambda match: _value(match, environ), node.value)
        except _Missing as missing:
            findings.append(Finding(path, missing.expected, missing.found, missing.near))
            return node
        return replace(node, value=value, written=node.value)

    return fill(root, ()), tuple(findings)


def escape(text: str) -> str:
    """`text` such that interpolation gives it back."""
    return text.replace("${", "$${")


def is_text(text: str) -> bool:
    """Whether `text`, of the environment or the command line, was UTF-8: other bytes arrive as halves of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["literal"]:
        return "${"
    inside = None if match["unclosed"] else _INSIDE.fullmatch(match["inside"])
    if inside is None:
        raise _Missing("${NAME}, ${NAME:-default} or ${credential:NAME}; $${ stands for a plain ${", match[0])
    if inside["credential"] is not None:
        return _credential(inside["credential"], environ)
    name, default = inside["name"], inside["default"]
    value = environ.get(name, "")
    if not is_text(value):
        raise _Missing(f"the environment variable {name} as UTF-8 text", "other bytes")
    if default is not None:
        return value or default
    if name not in environ:
        near = did_you_mean(name, environ)
        raise _Missing(f"the environment variable {name}, or ${{{name}:-default}}", "no such variable", near)
    return value


def _credential(name: str, environ: Mapping[str, str]) -> str:
    """What the file `name` in systemd's credentials folder holds, without the line break at its end."""
    if not _CREDENTIAL.fullmatch(name):
        raise _Missing("the name of a credential: letters, digits, _, - and .", f"${{credential:{name}}}")
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise _Missing(f"the credential {name}", "no $CREDENTIALS_DIRECTORY; set LoadCredential= in the systemd unit")
    path = Path(folder) / name
    try:
        if not path.is_file():
            raise _Missing(f"the credential {name}", "no such file in $CREDENTIALS_DIRECTORY")
        with path.open("rb") as file:
            content = file.read(MAX_CREDENTIAL + 1)
        if len(content) > MAX_CREDENTIAL:
            raise _Missing(f"the credential {name}, at most 1MB", "more")
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _Missing(f"the credential {name} as UTF-8 text", "other bytes") from None
    except OSError as error:
        raise _Missing(f"the credential {name}", (error.strerror or str(error)).lower()) from None
