"""`gateway cache`: look into the cache, purge it, warm it, check it, take it along."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
from cyclopts import App, Parameter, validators
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gateway.cli.admin import Admin, open_admin, running_at
from gateway.cli.exits import FAILED
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import load, run
from gateway.errors import GatewayError
from gateway.pipeline.clock import Clock
from gateway.profile.profile import Profile
from gateway.serving.admin.models import PurgeRequest, problem_of
from gateway.watch.warmer import Progress as WarmProgress

cache = App(name="cache", help="Look into the cache, purge it, warm it, check it, take it along.")

Url = Annotated[
    str | None,
    Parameter(name="--url", help="The admin address of a gateway; without it, the one of the profile, else the file."),
]
Flag = Parameter(negative="")


@cache.command
def stats(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = (), url: Url = None) -> int:
    """Print the numbers of every tier as JSON."""

    async def work(admin: Admin) -> int:
        return _print(await admin.ask("GET", "/api/cache/stats"))

    return _at(profile, set_, url, work)


@cache.command
def ls(
    pattern: Annotated[str, Parameter(help="A glob of keys; * is any text, nothing else is special.")] = "*",
    /,
    *,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1))] = 100,
    json: Annotated[bool, Flag] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """List entries: bytes, age and remaining freshness in seconds, priority, key and tags."""

    async def work(admin: Admin) -> int:
        listed: list[dict[str, Any]] = []
        more = True
        while more and len(listed) < limit:
            after = listed[-1]["key"] if listed else ""
            page = await admin.ask(
                "GET",
                "/api/cache/entries",
                params={"match": pattern, "limit": min(1000, limit - len(listed)), "after": after},
            )
            listed += page["entries"]
            more = page["more"] and bool(page["entries"])
        if json:
            return _print({"entries": listed, "more": more})
        for entry in listed:
            expires = "never" if entry["expires"] is None else f"{entry['expires']:.0f}s"
            tags = " ".join(entry["tags"])
            line = (
                f"{entry['size']:>9} {entry['age']:>8.0f}s {expires:>8} {entry['priority']:<6} {entry['key']}  {tags}"
            )
            sys.stdout.write(line + "\n")
        if more:
            sys.stderr.write(f"gateway: there are more than {limit}; see --limit\n")
        return 0

    return _at(profile, set_, url, work)


@cache.command
def get(
    key: Annotated[str, Parameter(help="The key, as `gateway cache ls` shows it.")],
    /,
    *,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Print one entry with its payload as JSON."""

    async def work(admin: Admin) -> int:
        return _print(await admin.ask("GET", "/api/cache/entry", params={"key": key}))

    return _at(profile, set_, url, work)


@cache.command
def purge(
    *,
    key: Annotated[str | None, Parameter(help="One entry.")] = None,
    tag: Annotated[str | None, Parameter(help="All entries with a tag.")] = None,
    glob: Annotated[str | None, Parameter(help="All entries whose key matches; * is any text.")] = None,
    tool: Annotated[str | None, Parameter(help="All results of a tool.")] = None,
    upstream: Annotated[
        str | None, Parameter(help="All documents of an upstream, and the results made of them.")
    ] = None,
    strategy: Annotated[str | None, Parameter(help="All results under a strategy.")] = None,
    all: Annotated[bool, Parameter(negative="", help="Everything.")] = False,  # noqa: A002  # the option's name
    soft: Annotated[
        bool, Parameter(negative="", help="Only make them stale: they may stand in for a failure.")
    ] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Purge by one of key, tag, glob of keys, tool, upstream, strategy, or all; exit code 1 if nothing matched."""
    what = {
        "key": key, "tag": tag, "glob": glob, "tool": tool, "upstream": upstream, "strategy": strategy,
        "all": all or None,
    }  # fmt: skip
    try:
        asked = PurgeRequest.model_validate({name: value for name, value in what.items() if value is not None})
    except ValidationError as error:
        raise GatewayError(problem_of(error)) from None

    async def work(admin: Admin) -> int:
        body = {**asked.model_dump(exclude_none=True), "soft": soft}
        answer = await admin.ask("POST", "/api/cache/purge", json=body)
        sys.stdout.write(f"{answer['purged']} entries purged\n")
        if answer["purged"]:
            return 0
        sys.stderr.write("gateway: nothing matched; `gateway cache ls` shows keys and tags\n")
        return FAILED

    return _at(profile, set_, url, work)


@cache.command
def warm(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = (), url: Url = None) -> int:
    """Make the calls of the profile's [warm] now, with a progress bar; exit code 1 if one failed."""

    async def work(admin: Admin) -> int:
        columns = TextColumn("warming"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed")
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=None, failed=0)

            def report(step: WarmProgress) -> None:
                bar.update(task, total=step.total, completed=step.done, failed=step.failed)

            last = await admin.warm(report)
        for failure in last.failures:
            sys.stderr.write(f"gateway: {failure}\n")
        sys.stdout.write(f"{last.done - last.failed} of {last.total} calls warmed\n")
        return FAILED if last.failed else 0

    return _at(profile, set_, url, work)


@cache.command
def verify(
    *,
    repair: Annotated[
        bool,
        Parameter(
            negative="",
            help="Delete what is damaged; if need be, make the file anew.",
        ),
    ] = False,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Read every entry of the disk tier and print what was found as JSON; exit code 1 if something is damaged."""
    loaded = load(profile, set_)

    async def running(admin: Admin) -> int:
        found = await admin.ask("POST", "/api/cache/verify", json={"repair": repair})
        _print(found)
        return 0 if found["sound"] or found["repaired"] else FAILED

    return run(partial(_verify, loaded.profile, url, repair, running))


async def _verify(profile: Profile, url: str | None, repair: bool, running: Callable[[Admin], Awaitable[int]]) -> int:
    """A file that no gateway has open is checked more deeply, and a damaged one is not set aside before that."""
    if await running_at(profile, url) is not None:
        async with open_admin(profile, url) as admin:
            return await running(admin)
    # Here, since who asks a running gateway does without them, and starts a third sooner.
    from gateway.tiers.disk import open_file_alone
    from gateway.tiers.disk_inspect import verify as verify_file
    from gateway.tiers.disk_rebuild import rebuild

    section, rebuilt = profile.cache.disk, None
    async with open_file_alone(section.path, Clock(), keep_damaged=section.keep_damaged) as disk:
        found = await verify_file(disk, repair=repair)
        if repair and not (found.sound or found.repaired):
            rebuilt = await rebuild(disk)
            found = await verify_file(disk)
    _print(
        {
            "sound": found.sound, "rows": found.rows, "good": found.good, "damaged": dict(found.damaged),
            "orphans": found.orphans, "problems": list(found.problems),
            "repaired": found.repaired or rebuilt is not None, "rebuilt": rebuilt,
        }
    )  # fmt: skip
    return 0 if found.sound or found.repaired else FAILED


@cache.command
def export(
    file: Annotated[Path, Parameter(help="The file to write.")],
    /,
    *,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Write every usable entry of the disk tier to a file, to be imported on another machine."""

    async def work(admin: Admin) -> int:
        await admin.export(file)
        sys.stdout.write(f"exported to {file}\n")
        return 0

    return _at(profile, set_, url, work)


@cache.command(name="import")
def import_(
    file: Annotated[Path, Parameter(help="A file that `gateway cache export` wrote.")],
    /,
    *,
    profile: ProfileName = DEFAULT_PROFILE,
    set_: Overrides = (),
    url: Url = None,
) -> int:
    """Bring the entries of an export in, none of them fresher than it was; nothing changes if the file is not whole."""

    async def work(admin: Admin) -> int:
        return _print(await admin.import_(file))

    return _at(profile, set_, url, work)


def _at(name: str, overrides: Overrides, url: str | None, work: Callable[[Admin], Awaitable[int]]) -> int:
    loaded = load(name, overrides)

    async def main() -> int:
        async with open_admin(loaded.profile, url) as admin:
            return await work(admin)

    return run(main)


def _print(answer: Any) -> int:
    sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() + "\n")
    return 0
