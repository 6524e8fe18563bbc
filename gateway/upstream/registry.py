"""Which npm registry a package comes from, as npm itself would decide."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import trio

from gateway.errors import UpstreamInvalid, UpstreamRejected, UpstreamUnavailable
from gateway.upstream.address import BaseAddress
from gateway.upstream.headers import Header

NPM_TIMEOUT = 10.0
"""Seconds for `npm config get registry`, which starts Node.js and reads some files."""

MAX_NPMRC = 1_000_000
"""Most bytes read of an .npmrc."""

_VARIABLE = re.compile(r"(?<!\\)\$\{([^${}?]+)(\??)\}")

Settings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NpmEnvironment:
    """Where npm's configuration is looked for."""

    environ: Mapping[str, str]
    cwd: Path
    home: Path


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry, and npm's tokens, of which it only ever gets its own."""

    upstream: str
    url: str
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By npm's name for an address: `//host:port/path/`, without the scheme."""

    def packument(self, package: str) -> httpx2.URL:
        """The address of all releases of `package`; a scope's slash is encoded, as npm does."""
        return BaseAddress.plain(self.upstream, self.url).join(package.replace("/", "%2f"))

    def tarball(self, address: str) -> httpx2.URL:
        """The address of a tarball, which is always on this registry's own host.

        Registries that mirror others leave the others' addresses in their answers. As npm with
        `replace-registry-host = always` does, the path is kept and put under the registry's own, unless it is there
        already. Raises UpstreamInvalid and UpstreamRejected.
        """
        own, base = urlsplit(self.url), self.url
        try:
            theirs = urlsplit(address)
            same_host = (theirs.hostname, theirs.port) == (own.hostname, own.port)
        except ValueError:
            raise UpstreamInvalid(self.upstream, "the registry names a tarball whose address is none") from None
        if same_host or theirs.path.startswith(f"{own.path}/"):
            base = f"{own.scheme}://{own.netloc}"
        query = parse_qsl(theirs.query, keep_blank_values=True)
        return BaseAddress.plain(self.upstream, base).join(theirs.path, query=query)

    def credentials(self, url: httpx2.URL) -> list[Header]:
        """The header that npm would send to `url`: the token of the longest configured prefix of it, if any."""
        prefix = f"//{url.netloc.decode()}{url.raw_path.decode().partition('?')[0]}"
        while prefix.count("/") >= 2 and len(prefix) > 2:
            token = self.tokens.get(prefix)
            if token:
                return [("Authorization", f"Bearer {token}")]
            prefix = prefix[:-1] if prefix.endswith("/") else prefix[: prefix.rindex("/") + 1]
        return []


async def find_registry(upstream: str, package: str, named: str | None, where: NpmEnvironment) -> Registry | None:
    """The registry for `package`; None where nothing names one.

    In this order: `named` by the profile; `@scope:registry` and then `registry` of npm's environment variables, the
    `.npmrc` of `where.cwd`, the user's `.npmrc`; what `npm config get registry` answers, which is npm's own default in
    the end (npm-registry-fetch; npm docs, "npmrc"). Without npm there is no default.
    Raises UpstreamRejected when what is named is no plain address, UpstreamUnavailable when npm does not answer.
    """
    layers = [read_environment(where.environ)]
    layers.append(await _read_file(where.cwd / ".npmrc", where.environ))
    user = layers[0].get("userconfig") or str(where.home / ".npmrc")
    layers.append(await _read_file(Path(user), where.environ))
    tokens = _tokens(layers)
    scope = package.partition("/")[0] if package.startswith("@") else None
    keys = [f"{scope}:registry", "registry"] if scope else ["registry"]
    found = named or next((layer[key] for key in keys for layer in layers if layer.get(key)), None)
    if found is None:
        found = await _ask_npm(upstream, where)
    if found is None:
        return None
    return Registry(upstream, _checked(upstream, found), tokens)


def read_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of npm in the environment: `npm_config_…` in any case, where `_` stands for `-`."""
    settings: dict[str, str] = {}
    for name, value in environ.items():
        if name.lower().startswith("npm_config_") and value:
            key = name[len("npm_config_") :]
            settings[key if key.startswith("//") else key[:1].lower() + key[1:].replace("_", "-").lower()] = value
    return settings


def read_npmrc(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of an `.npmrc`: `key = value` lines, with `${VAR}` and `${VAR?}` filled in.

    As in npm, a variable that is not set leaves `${VAR}` as it is, and `${VAR?}` empty.
    """
    settings = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith((";", "#", "[")):
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        else:
            value = re.split(r"(?<!\\)[;#]", value, maxsplit=1)[0].strip()
        settings[key.strip()] = _VARIABLE.sub(lambda match: environ.get(match[1], "" if match[2] else match[0]), value)
    return settings


async def _read_file(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    def read() -> str:
        if not path.is_file():  # opening a pipe would wait for its writer, and no deadline ends a thread
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_NPMRC)

    try:
        return read_npmrc(await trio.to_thread.run_sync(read), environ)
    except OSError:
        return {}  # a file that is not there, or that a sandboxed service may not see, names nothing


def _tokens(layers: Sequence[Settings]) -> dict[str, str]:
    """Every `//host/path/:_authToken`; one in an earlier layer wins, and an unfilled `${VAR}` is none."""
    tokens: dict[str, str] = {}
    for layer in reversed(layers):
        for key, value in layer.items():
            prefix, _, name = key.rpartition(":")
            if prefix.startswith("//") and name == "_authToken" and value and not _VARIABLE.search(value):
                tokens[prefix] = value
    return tokens


async def _ask_npm(upstream: str, where: NpmEnvironment) -> str | None:
    """What npm answers; None when there is no npm, or it has no answer."""
    try:
        with trio.move_on_after(NPM_TIMEOUT) as scope:
            npm = await trio.run_process(
                ["npm", "config", "get", "registry"],
                capture_stdout=True,
                stderr=subprocess.DEVNULL,  # warnings about settings that it does not know
                check=False,
                env=dict(where.environ),
                cwd=where.cwd,
                deliver_cancel=_kill,
            )
    except OSError:
        return None  # no npm, so nobody to ask: that is what the CDN is for
    if scope.cancelled_caught:
        raise UpstreamUnavailable(
            upstream,
            f"`npm config get registry` gave no answer within {NPM_TIMEOUT:g}s; "
            f"upstreams.{upstream}.registry makes it unnecessary",
        )
    answer = npm.stdout.decode(errors="replace").strip()
    return answer if npm.returncode == 0 and answer not in ("", "undefined", "null") else None


async def _kill(npm: trio.Process) -> None:
    npm.kill()  # it only reads: nothing is lost, and nobody waits for one that ignores SIGTERM


def _checked(upstream: str, url: str) -> str:
    """The address without a slash at its end. The sentence does not quote it: it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise UpstreamRejected(
            upstream,
            "the registry that npm's configuration names is not an http(s) address without user name, ? and #; "
            f"correct it, or set upstreams.{upstream}.registry",
        )
    return url.rstrip("/")
