"""`gateway pins`: what MCP servers' definitions were when they were accepted, what has changed, and accepting it."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load
from gateway.errors import GatewayError
from gateway.printable import printable
from gateway.profile.faults import did_you_mean, listed
from gateway.profile.federated import servers
from gateway.profile.loader import Loaded
from gateway.upstream.mcp.pins import Pin, Pins, diff, digest
from gateway.upstream.mcp.pins_file import PinsFile

pins = App(
    name="pins", help="Look at the definitions of MCP servers as they were accepted, and accept what has changed."
)

Upstream = Annotated[str, Parameter(help="The name of an `mcp` upstream.")]
Names = Annotated[str, Parameter(help="Definitions, such as tools/echo; `gateway pins ls` shows them.")]


@pins.command
def ls(upstream: Upstream | None = None, /, *, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """List every definition that was seen: its state, its hash and its name.

    `live` is listed and can be used; `pending` has changed since it was accepted, or never was; `gone` is not listed by
    its server any more.
    """
    loaded = load(profile, set_)
    for name in [upstream] if upstream is not None else servers(loaded.profile):
        for kind, own, pin in _file(loaded, name).load().each():
            shown = pin.pending if pin.pending is not None else pin.accepted or {}
            sys.stdout.write(f"{_state(pin):<7} {digest(kind, shown)} {name} {kind}/{printable(own, 500)}\n")
    return 0


@pins.command(name="diff")
def diff_(upstream: Upstream, /, *names: Names, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Show what has changed since it was accepted; exit code 1 where anything has."""
    found = _file(load(profile, set_), upstream).load()
    _known(found, names)
    changed = False
    for kind, own, pin in found.each():
        if pin.pending is None or (names and f"{kind}/{own}" not in names):
            continue
        changed = True
        sys.stdout.write(f"{kind}/{printable(own, 500)}\n")
        for line in diff(kind, pin.accepted, pin.pending).split("\n"):
            sys.stdout.write(f"  {printable(line, 10_000)}\n")
    return FAILED if changed else 0


@pins.command
def accept(
    upstream: Upstream,
    /,
    *names: Names,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Accept whatever is pending.")] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
) -> int:
    """Accept definitions as they are now. A gateway that runs takes them over within seconds."""
    if bool(names) == all_:
        raise GatewayError("name what is to be accepted, such as tools/echo, or say --all")
    file = _file(load(profile, set_), upstream)

    def change(before: Pins) -> tuple[Pins, tuple[str, ...]]:
        _known(before, names)
        return before.accepting(frozenset(names) if names else None)

    accepted = file.update(change)
    for name in accepted:
        sys.stdout.write(f"accepted {printable(name, 500)}\n")
    if not accepted:
        sys.stdout.write("nothing is pending\n")
    return 0


@pins.command
def forget(upstream: Upstream, /, *names: Names, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> int:
    """Forget what was accepted; what the server lists the next time is trusted as if it were new."""
    if not names:
        raise GatewayError("name what is to be forgotten, such as tools/echo")
    file = _file(load(profile, set_), upstream)

    def change(before: Pins) -> tuple[Pins, None]:
        _known(before, names)
        return before.without(frozenset(names)), None

    file.update(change)
    return 0


def _file(loaded: Loaded, upstream: str) -> PinsFile:
    known = servers(loaded.profile)
    if upstream not in known:
        near = did_you_mean(upstream, known)
        hint = f"; did you mean {near}?" if near else f"; there is {listed(sorted(known))}" if known else ""
        raise GatewayError(f"no mcp upstream {upstream!r} in the profile {loaded.name}{hint}")
    return PinsFile(loaded.profile.federation.pins, upstream)


def _known(found: Pins, names: tuple[str, ...]) -> None:
    every = {f"{kind}/{own}" for kind, own, _ in found.each()}
    for name in names:
        if name not in every:
            near = did_you_mean(name, every)
            raise GatewayError(
                f"no definition {printable(name)}" + (f"; did you mean {printable(near)}?" if near else "")
            )


def _state(pin: Pin) -> str:
    if not pin.listed:
        return "gone"
    return "live" if pin.live else "pending"
