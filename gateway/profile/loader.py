"""From a profile's name to a `Profile`: read, merge, override, fill in, check; or every fault at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from gateway.errors import ProfileError
from gateway.profile.consistency import contradictions
from gateway.profile.defaults import with_defaults
from gateway.profile.extends import Lineage
from gateway.profile.faults import Advice, Fault, Finding
from gateway.profile.interpolation import interpolate
from gateway.profile.overrides import override
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.references import Declared, broken_references
from gateway.profile.search import Search
from gateway.profile.tree import Node, Origin, from_source, merge, place_advice, place_fault, plain, walk
from gateway.profile.upstreams.authentication import SECRETS
from gateway.profile.validation import salvage, validate

_CREDENTIAL = 'a credential, "${credential:NAME}"; neither profiles nor the environment are for secrets'
_ADDRESSES = frozenset({"base_url", "url", "token_url", "path", "registry", "cdn", "cdn_listing"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A profile that can be used, and how it came to be.

    `files` are in the order of merging, the profile's own file last. `origins` tells of every key that
    is set where it was set; what is missing there is a default. `written` has, for every string with
    `${…}` in it, the text before it was filled in: show that, never the value.
    """

    profile: Profile
    name: str
    files: tuple[Path, ...]
    origins: Mapping[KeyPath, Origin]
    written: Mapping[KeyPath, str]
    warnings: tuple[Advice, ...]


def load_profile(
    name_or_path: str,
    *,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    cwd: Path | None = None,
    folders: Sequence[Path] | None = None,
) -> Loaded:
    """The profile called `name_or_path`, with what it extends, the environment's and the command line's overrides.

    A name is looked up in `folders` (`./profiles`, `/etc/gateway/profiles`, the shipped ones); whatever
    has a `/` or ends in `.toml` is a path from `cwd`. `overrides` are `--set`s, `KEY=VALUE`.

    Raises ProfileError with every fault: of all files, all sections and all references between them.
    """
    search = Search.standard(cwd, folders)
    path = search.profile(name_or_path)
    if isinstance(path, Fault):
        raise ProfileError([path])
    lineage = Lineage(search)
    lineage.follow(path)
    if not lineage.sources:
        raise ProfileError(lineage.faults)
    root = reduce(merge, (from_source(source) for source in lineage.sources))
    root = Node({key: node for key, node in root.value.items() if key != "extends"}, root.origin)
    root, misplaced = override(root, environ, overrides)
    root, unfilled = interpolate(root, environ)
    root, undefined = with_defaults(root)
    exposed = (finding for finding in _exposed(root) if not _within(finding, unfilled))
    profile, findings = _check(root, [*unfilled, *exposed], complete=not lineage.faults)
    findings += undefined if not lineage.faults else []
    placed = (place_fault(root, finding) for finding in findings)
    faults = _once([*lineage.faults, *misplaced, *placed], [source.name for source in lineage.sources])
    if faults or profile is None:
        raise ProfileError(faults)
    nodes = dict(walk(root))
    return Loaded(
        profile=profile,
        name=path.stem,
        files=tuple(source.path for source in lineage.sources),
        origins={path: node.origin for path, node in nodes.items()},
        written={path: node.written for path, node in nodes.items() if node.written is not None},
        warnings=tuple(place_advice(root, contradiction) for contradiction in contradictions(profile)),
    )


def _check(root: Node, unfilled: Sequence[Finding], *, complete: bool) -> tuple[Profile | None, list[Finding]]:
    """The profile, and all that is wrong with it; where files are missing, only what they could not mend."""
    table = plain(root)
    declared = Declared.of(table)
    profile, findings = validate(table)
    known = [*unfilled, *(finding for finding in findings if not _within(finding, unfilled))]
    if not complete:
        return profile, [finding for finding in known if not finding.absent]
    sound = profile if profile is not None else salvage(table, findings)
    broken = broken_references(sound, declared) if sound is not None else ()
    return profile, [*known, *(finding for finding in broken if not _within(finding, unfilled))]


def _exposed(root: Node) -> Iterator[Finding]:
    """Credentials where others can see them (addresses, commands), and secrets that are no credentials."""
    for path, node in walk(root):
        of_upstream = path[:1] == ("upstreams",) and path[2:3] == ("auth",) and path[3:] and path[3] in SECRETS
        of_client = path[:1] == ("clients",) and path[2:] == ("token",)
        if of_upstream or of_client or path == ("cache", "shared", "password"):
            yield from _secret(path, node)
        if not path or node.written is None or "${credential:" not in node.written:
            continue
        if path[-1] in _ADDRESSES and path[:1] != ("notifications",):  # that of a webhook often is its credential
            yield Finding(path, "an address without a credential, which belongs into headers", node.written)
        if path[:1] == ("upstreams",) and path[2:3] == ("command",):
            yield Finding(path, "an argument without a credential, which belongs into env", node.written)


def _secret(path: KeyPath, node: Node) -> Iterator[Finding]:
    """What is wrong with a secret: it can be read in the profile, or in the environment."""
    if node.written is None:
        yield Finding(path, _CREDENTIAL, "a literal", secret=True)
    elif "${credential:" not in node.written:
        yield Finding(path, _CREDENTIAL)


def _within(finding: Finding, unfilled: Iterable[Finding]) -> bool:
    """Whether `finding` is about a value that could not be filled in: that is told already."""
    return any(finding.path[: len(other.path)] == other.path for other in unfilled)


def _once(faults: Iterable[Fault], files: Sequence[str]) -> list[Fault]:
    """Each fault once, in the order of `files` and lines; those of variables and options come first.

    One of `[upstream_defaults]` is found again in every upstream, one of `[tool_defaults.NAME]` in every tool.
    """
    seen: dict[tuple[object, ...], Fault] = {}
    for fault in faults:
        place = (fault.line, fault.column, fault.key[-1:]) if fault.line is not None else fault.key
        seen.setdefault((fault.file, place, fault.found), fault)
    order = {file: number for number, file in enumerate(files)}
    return sorted(seen.values(), key=lambda fault: (order.get(fault.file, -1), fault.line or 0, fault.column or 0))
