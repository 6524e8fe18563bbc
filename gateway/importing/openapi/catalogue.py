"""A catalogue in TOML out of an OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.importing.openapi.document import Document, mapping, text
from gateway.importing.openapi.names import tool_name
from gateway.importing.openapi.operation import ImportedTool, Operation, operations, tool_of
from gateway.importing.openapi.servers import base_url, upstream_table
from gateway.importing.source import Specification, SpecificationError
from gateway.importing.toml import comment, table
from gateway.pipeline.glob import Glob
from gateway.printable import printable

MAX_TOOLS = 5000
"""Tools of one catalogue; nobody reviews more, and no client takes them."""
_SPREAD = ("input", "fetch", "result", "output")


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a specification is imported, and what it is called."""

    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    prefix: str | None = None
    name: str | None = None
    base_url: str | None = None

    def takes(self, operation: Operation) -> bool:
        """Whether one of the operation's names is to be imported."""
        return self._matches(operation, self.include) and not self._matches(operation, self.exclude)

    def _matches(self, operation: Operation, patterns: Sequence[str]) -> bool:
        return any(Glob(pattern).matches(name) for name in operation.names for pattern in patterns)


@dataclass(slots=True)
class Imported:
    """A catalogue as TOML, and what was left out of it."""

    text: str = ""
    tools: int = 0
    left_out: list[str] = field(default_factory=list)


def imported(specification: Specification, choice: Choice) -> Imported:
    """The catalogue of a specification; raises SpecificationError where there is none to be had."""
    document = Document(specification)
    name = choice.name or _name(text(mapping(document.root.get("info")).get("title")))
    result, upstreams, tools = Imported(), dict[str, str](), dict[str, str]()
    for operation in operations(document, result.left_out):
        if not choice.takes(operation):
            continue
        url = base_url(document, operation, choice.base_url)
        upstream = upstreams.setdefault(url, name if not upstreams else f"{name}-{len(upstreams) + 1}")
        try:
            tool = tool_of(document, operation, upstream, name)
        except SpecificationError as error:
            result.left_out.append(f"{operation.method.upper()} {printable(operation.path, 200)}: {error}")
            continue
        called = tool_name(operation.id, choice.prefix or "", tools)
        tools[called] = _written(document, operation, called, tool)
        if len(tools) > MAX_TOOLS:
            raise SpecificationError(f"{document.name}: more than {MAX_TOOLS} operations; choose some with --include")
    if not tools:
        hint = f": {result.left_out[0]}" if result.left_out else "; see --include and --exclude"
        raise SpecificationError(f"{document.name}: no operation can be imported{hint}")
    result.tools = len(tools)
    result.text = "\n".join(
        [
            _head(document, specification.name),
            _strategy(name),
            *(upstream_table(document, upstream, url) for url, upstream in upstreams.items()),
            *tools.values(),
            *([comment("Left out:", *result.left_out)] if result.left_out else []),
        ]
    )
    return result


def _head(document: Document, where: str) -> str:
    info = mapping(document.root.get("info"))
    return comment(
        f"{text(info.get('title')) or 'An API'} {text(info.get('version'))}",
        f"Imported by `gateway import openapi` from {where}.",
        "Review it before you use it: descriptions are read by models, and what is not read-only changes something.",
        'Use it by itself, or in a profile: extends = ["base.toml", "this-file.toml"].',
    )


def _strategy(name: str) -> str:
    return comment("How long answers are fresh; see the README's section on strategies.") + table(
        ("strategies", name), {"ttl": "5m", "stale_if_error": "1h"}
    )


def _written(document: Document, operation: Operation, called: str, tool: ImportedTool) -> str:
    line = document.line_of(operation.id)
    place = f", line {line}" if line is not None else ""
    origin = f"{operation.method.upper()} {operation.path} ({operation.id}{place})"
    section = {key: value for key, value in tool.section.items() if key not in _SPREAD}
    text_ = comment(origin, *tool.notes) + table(("tools", called), section)
    for key in _SPREAD:
        if key in tool.section:
            text_ += table(("tools", called, key), tool.section[key], spread=("properties",))
    return text_


def _name(title: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
    return name or "api"
