"""`[upstream_defaults]` and `[tool_defaults.NAME]`: what several tables start from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from gateway.profile.faults import Finding
from gateway.profile.known import unknown
from gateway.profile.tree import Node, merge
from gateway.profile.upstreams import KINDS


def with_defaults(root: Node) -> tuple[Node, list[Finding]]:
    """The tree with the defaults under every table that has some, and every name of defaults that leads nowhere."""
    root = _with_upstream_defaults(root)
    return _with_tool_defaults(root), list(_unknown(root))


def _with_upstream_defaults(root: Node) -> Node:
    """`[upstream_defaults]` is under every `[upstreams.NAME]`, as far as its kind has those keys."""
    defaults, upstreams = root.value.get("upstream_defaults"), _table(root, "upstreams")
    if defaults is None or upstreams is None or not isinstance(defaults.value, dict):
        return root
    filled = {
        name: merge(_defaults_of_kind(defaults, node), node) if isinstance(node.value, dict) else node
        for name, node in upstreams.value.items()
    }
    return Node({**root.value, "upstreams": Node(filled, upstreams.origin)}, root.origin)


def _defaults_of_kind(defaults: Node, upstream: Node) -> Node:
    kind = upstream.value.get("type")
    section = KINDS.get(kind.value) if kind is not None and isinstance(kind.value, str) else None
    if section is None:
        return defaults
    known = {key: node for key, node in defaults.value.items() if key in section.model_fields}
    return Node(known, defaults.origin)


def _with_tool_defaults(root: Node) -> Node:
    """What a tool's `defaults` name is under it, the first undermost."""
    tools, known = _table(root, "tools"), _table(root, "tool_defaults")
    if tools is None or known is None:
        return root
    filled = {
        name: reduce(merge, [*(known.value[each.value] for each in _named(node) if each.value in known.value), node])
        for name, node in tools.value.items()
    }
    return Node({**root.value, "tools": Node(filled, tools.origin)}, root.origin)


def _unknown(root: Node) -> Iterator[Finding]:
    tools, known = _table(root, "tools"), _table(root, "tool_defaults")
    names = known.value if known is not None else {}
    for tool, node in tools.value.items() if tools is not None else ():
        for index, each in enumerate(_named(node)):
            yield from unknown(("tools", tool, "defaults", index), each.value, names, "tool_defaults")


def _named(tool: Node) -> list[Node]:
    """The names in a tool's `defaults`; what is no name is the schema's to find."""
    names = tool.value.get("defaults") if isinstance(tool.value, dict) else None
    if names is None or not isinstance(names.value, list):
        return []
    return [each for each in names.value if isinstance(each.value, str)]


def _table(root: Node, key: str) -> Node | None:
    found = root.value.get(key)
    return found if found is not None and isinstance(found.value, dict) else None
