"""`gateway stdio` and `gateway serve` as most are started: without cyclopts, which takes time and memory of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.profile.search import DEFAULT_PROFILE

_VARIABLE = "GATEWAY_PROFILE"


def plain_command(arguments: Sequence[str], environ: Mapping[str, str]) -> Callable[[], int] | None:
    """What to call for a `stdio` or a `serve` that is spelled plainly; None for anything else."""
    command = arguments[0] if arguments else ""
    options = plain_options(arguments[1:], environ)
    if options is None:
        return None
    if command == "stdio":
        from gateway.cli.agent import serve_agent

        return partial(serve_agent, *options)
    if command == "serve":
        from gateway.cli.serving import serve_clients

        return partial(serve_clients, *options)
    return None


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
