"""YAML as OpenAPI means it: the JSON schema of YAML 1.2, so that `no` is a word and 2026-01-31 a text."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gateway.printable import printable

_SCALARS = {
    "tag:yaml.org,2002:null": (re.compile(r"^(?:null|Null|NULL|~|)$"), ["n", "N", "~", ""]),
    "tag:yaml.org,2002:bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    "tag:yaml.org,2002:int": (re.compile(r"^[-+]?[0-9]{1,30}$"), list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        re.compile(r"^[-+]?(?:[0-9]{1,30}\.[0-9]{0,30}|\.?[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?$"),
        list("-+.0123456789"),
    ),
}
"""YAML 1.2.2, section 10.3.2, less what JSON can't hold."""


MAX_DEPTH = 200
"""Levels of a document; published specifications have about twenty."""


class YamlProblem(ValueError):
    """A text that is no YAML, or is nested too deeply."""


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are texts, as they were written in JSON: a response is "200"."""
        mapping = super().construct_mapping(node, deep)
        return {key if isinstance(key, str) else _spelled(key): value for key, value in mapping.items()}


for _tag, (_pattern, _starts) in _SCALARS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, _starts)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)))  # 010 is ten, and 1_000 a text


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text, with keys as texts. Aliases are shared, not copied. Raises YamlProblem."""
    try:
        _refuse_depth(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # derived from the safe loader
    except yaml.YAMLError as error:
        raise YamlProblem(printable(" ".join(str(error).split()), 200)) from None
    except YamlProblem:
        raise
    except (ValueError, TypeError) as error:
        raise YamlProblem(printable(str(error), 200)) from None


def _refuse_depth(text: str) -> None:
    """Raise YamlProblem for a depth at which libyaml's binding, which recurses in C, would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise YamlProblem(f"it is nested more than {MAX_DEPTH} levels deep")


def _spelled(key: Any) -> str:
    if key is None:
        return "null"
    return str(key).lower() if isinstance(key, bool) else str(key)
