"""Names that a profile uses and nowhere declares: findings for templates, expressions and references of any table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import jmespath

from gateway.profile.faults import Finding, did_you_mean, listed, shown
from gateway.profile.positions import KeyPath
from gateway.profile.templates import fields

VERSION = frozenset({"version"})
"""What may stand in a template beside arguments: the release that was read."""


def unknown(path: KeyPath, name: str, known: Collection[str], table: str) -> Iterator[Finding]:
    """`name` where no `table` has it."""
    if name not in known:
        what = f"one of [{table}]: {listed(sorted(known))}" if known else f"a name of [{table}], which is empty"
        near = did_you_mean(name, known)
        yield Finding(path, what, suggestion=shown(near) if near else None)


def template_faults(path: KeyPath, template: str, known: frozenset[str]) -> Iterator[Finding]:
    """Every field of a template that is not known."""
    for field in sorted(fields(template) - known):
        near = did_you_mean(field, known)
        yield Finding(path, _known(known), f"{{{field}}}", f"{{{near}}}" if near else None)


def argument_faults(path: KeyPath, name: str, arguments: frozenset[str], *, at_key: bool = False) -> Iterator[Finding]:
    """`name` where it is no argument."""
    if name not in arguments:
        near = did_you_mean(name, arguments)
        yield Finding(path, _known(arguments), shown(name), near and shown(near), at="key" if at_key else "value")


def expression_faults(path: KeyPath, expression: str, arguments: frozenset[str]) -> Iterator[Finding]:
    """Every `arg('name')` of a JMESPath expression that is no argument."""
    for argument in _asked(jmespath.compile(expression).parsed):
        if argument not in arguments | VERSION:
            yield Finding(path, _known(arguments), f"arg('{argument}')", did_you_mean(argument, arguments))


def _known(arguments: Iterable[str]) -> str:
    names = sorted(arguments)
    return (
        f"one of the declared arguments: {listed(names)}" if names else "a declared argument, of which there are none"
    )


def _asked(expression: Any) -> Iterator[str]:
    """The names in every `arg('name')` of a parsed JMESPath expression."""
    children = expression.get("children", ()) if isinstance(expression, dict) else ()
    if (
        isinstance(expression, dict)
        and expression.get("type") == "function_expression"
        and expression["value"] == "arg"
    ):
        yield from (child["value"] for child in children if isinstance(child.get("value"), str))
        return
    for child in children:
        yield from _asked(child)
