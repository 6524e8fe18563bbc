"""`gateway stdio` and `gateway serve` as most are started: without cyclopts, which takes time and memory of both."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import cast

from gateway.profile.search import DEFAULT_PROFILE

_VARIABLE = "GATEWAY_PROFILE"


def plain_command(arguments: Sequence[str], environ: Mapping[str, str]) -> Callable[[], int] | None:
    """What to call for a `stdio` or a `serve` that is spelled plainly; None for anything else."""
    command = _COMMANDS.get(arguments[0]) if arguments else None
    options = plain_options(arguments[1:], environ)
    return None if command is None or options is None else partial(command, *options)


def plain_options(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """The profile's name and the overrides that plain arguments say; None where there is anything else."""
    if environ.get(_VARIABLE) == "":
        return None
    name, overrides, rest = environ.get(_VARIABLE, DEFAULT_PROFILE), list[str](), list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if not equals:
            value = rest.pop(0) if rest else ""
        if not value or (value.startswith("-") and not equals):
            return None
        if option == "--profile":
            name = value
        elif option == "--set":
            overrides.append(value)
        else:
            return None
    return name, overrides


def _stdio(name: str, overrides: Sequence[str]) -> int:
    _do_without_rich()
    from gateway.cli.agent import serve_agent

    return serve_agent(name, overrides)


def _serve(name: str, overrides: Sequence[str]) -> int:
    _do_without_rich()
    from gateway.cli.serving import serve_clients

    return serve_clients(name, overrides)


def _do_without_rich() -> None:
    """Libraries import it where it is there, structlog above all, for output that no process that serves has."""
    sys.modules.setdefault("rich", cast("ModuleType", None))


_COMMANDS = {"stdio": _stdio, "serve": _serve}
