"""What the environment (`GATEWAY__CACHE__POOL_SIZE=10`) and `--set cache.pool_size=10` change in a merged profile."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.profile.faults import Fault, did_you_mean, listed, shown
from gateway.profile.interpolation import is_text
from gateway.profile.positions import KeyPath, dotted
from gateway.profile.profile import Profile
from gateway.profile.shape import Shape, child, discriminator, names, section, variants
from gateway.profile.source import MAX_DEPTH, depth_exceeds
from gateway.profile.tree import Node, Origin, grow, merge

PREFIX = "GATEWAY__"
OPTION = "--set"

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_ASSIGNMENT = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=(.*)", re.DOTALL)


def override(root: Node, environ: Mapping[str, str], assignments: Sequence[str]) -> tuple[Node, tuple[Fault, ...]]:
    """The tree with the variables of the environment on top of it, and the `--set`s on top of those."""
    faults: list[Fault] = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        path = _variable_path(root, variable)
        root = _put(root, path, environ[variable], Origin(variable), faults)
    for assignment in assignments:
        path, text = _assignment(assignment)
        root = _put(root, path, text, Origin(OPTION), faults)
    return root, tuple(faults)


def parse_value(text: str) -> Any:
    """The value of an override: TOML where `text` is a TOML boolean, number, array, inline table or quoted string.

    Anything else is a string as it stands: `1GB`, `https://example.org`, `2026-01-01`, `nan`.
    """
    try:
        parsed = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):
        return text
    value = parsed["value"]
    plain = isinstance(value, bool | int | str | list | dict) or (isinstance(value, float) and value - value == 0)
    return value if plain and len(parsed) == 1 else text


def _put(root: Node, path: KeyPath | Fault, text: str, origin: Origin, faults: list[Fault]) -> Node:
    if isinstance(path, Fault):
        faults.append(path)
        return root
    if not is_text("".join(map(str, path)) + text):
        faults.append(Fault(origin.file, key=path, expected="UTF-8 text", found="other bytes"))
        return root
    value = parse_value(text)
    for step in reversed(path):
        value = {step: value}
    if len(path) > MAX_DEPTH or depth_exceeds(value):
        faults.append(Fault(origin.file, expected=f"tables and arrays nested at most {MAX_DEPTH} deep", found="more"))
        return root
    return _without_moving(root, merge(root, grow(value, lambda _: origin)), path)


def _without_moving(before: Node, after: Node, path: KeyPath) -> Node:
    """`after`, whose tables on the way to `path` keep the origin that they had: only the value is new."""
    if not path or not isinstance(before.value, dict):
        return after
    step, *rest = path
    children = dict(after.value)
    if step in before.value:
        children[step] = _without_moving(before.value[step], children[step], tuple(rest))
    return Node(children, before.origin)


def _assignment(text: str) -> tuple[KeyPath | Fault, str]:
    """The key path and the value of `KEY=VALUE`."""
    match = _ASSIGNMENT.fullmatch(text)
    key, value = (match[1], match[2]) if match else ("", "")
    path: list[str] = []
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        found = shown(text if match else text.partition("=")[0])
        return Fault(OPTION, expected="KEY=VALUE such as cache.memory.max_size=1GB", found=found), ""
    while isinstance(table, dict):
        ((step, table),) = table.items()
        path.append(step)
    return tuple(path), value


def _variable_path(root: Node, variable: str) -> KeyPath | Fault:
    """The key path that a variable's name means: letters of any case, and `_` stands for `-` too."""
    shape: Shape = Profile
    node: Node | None = root
    path: KeyPath = ()
    for word in variable.removeprefix(PREFIX).split("__"):
        if not word:
            return Fault(variable, expected="a name such as GATEWAY__CACHE__MEMORY__MAX_SIZE", found="an empty part")
        table = node.value if node is not None and isinstance(node.value, dict) else {}
        if tagged := variants(shape):
            key = discriminator(next(iter(tagged.values())))
            shape = tagged.get(str(table[key].value)) if key in table else None
        known = tuple(dict.fromkeys([*names(shape), *table]))
        step = _meant(word, known)
        if step is None and not _open(shape, path):
            return _unknown(variable, path, word, names(shape) or known)
        if step is None:
            step = word.lower()
        path, shape, node = (*path, step), child(shape, step), table.get(step)
    return path


def _meant(word: str, known: Sequence[str]) -> str | None:
    """The one of `known` that `word` spells; of several that it could, the one that needs the least folding."""
    folds = (str, str.lower, lambda name: name.lower().replace("-", "_"))
    return next((name for fold in folds for name in known if fold(name) == fold(word)), None)


def _open(shape: Shape, path: KeyPath) -> bool:
    """Whether a variable may make a new key here: a header or an argument, not a tool, an upstream or a strategy."""
    named = child(shape, "") if section(shape) is None else None
    return bool(path) and section(shape) is None and not section(named) and not variants(named)


def _unknown(variable: str, path: KeyPath, word: str, known: Sequence[str]) -> Fault:
    what = f"one of {listed(known)}" if known else f"a key that {dotted(path)} has"
    near = did_you_mean(word.lower().replace("_", "-"), known) or did_you_mean(word, known)
    return Fault(variable, key=path, expected=what, found=word, suggestion=near)
