from __future__ import annotations

import os
from pathlib import Path

import httpx2
import pytest
import trio
from trio.testing import MockClock

from gateway.errors import UpstreamInvalid, UpstreamRejected, UpstreamUnavailable
from gateway.upstream.registry import NpmEnvironment, Registry, find_registry, read_environment, read_npmrc


@pytest.fixture
def where(tmp_path: Path) -> NpmEnvironment:
    """An empty project and home, and a PATH without npm."""
    for name in ("project", "home", "bin"):
        (tmp_path / name).mkdir()
    return NpmEnvironment({"PATH": str(tmp_path / "bin")}, tmp_path / "project", tmp_path / "home")


def with_environ(where: NpmEnvironment, **environ: str) -> NpmEnvironment:
    return NpmEnvironment({**where.environ, **environ}, where.cwd, where.home)


def install_npm(where: NpmEnvironment, script: str) -> None:
    npm = where.home.parent / "bin" / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)


async def url(where: NpmEnvironment, package: str = "@varlet/ui", named: str | None = None) -> str | None:
    registry = await find_registry("npm", package, named, where)
    return registry.url if registry is not None else None


def test_npmrc() -> None:
    """Comments, quotes, sections, and variables as npm fills them in."""
    text = """
    ; a comment
    # another
    [section]
    registry = https://registry.example/npm/  ; why
    "quoted" = "x"
    single='y # not a comment'
    token=${TOKEN}
    missing=${NOWHERE}
    optional=a${NOWHERE?}b
    flag
    """
    assert read_npmrc(text, {"TOKEN": "secret"}) == {
        "registry": "https://registry.example/npm/",
        '"quoted"': "x",
        "single": "y # not a comment",
        "token": "secret",
        "missing": "${NOWHERE}",
        "optional": "ab",
    }


def test_environment() -> None:
    """Any case, and underscores for dashes; an empty value is none."""
    environ = {
        "NPM_CONFIG_REGISTRY": "https://one.example",
        "npm_config_@varlet:registry": "https://two.example",
        "npm_config_//host/:_authToken": "secret",
        "npm_config_strict_ssl": "true",
        "npm_config_empty": "",
        "PATH": "/bin",
    }
    assert read_environment(environ) == {
        "registry": "https://one.example",
        "@varlet:registry": "https://two.example",
        "//host/:_authToken": "secret",
        "strict-ssl": "true",
    }


async def test_the_order_in_which_a_registry_is_found(where: NpmEnvironment) -> None:
    """The profile, the environment, the project, the user, npm itself; a scope's own before the general one."""
    assert await url(where) is None
    install_npm(where, "echo https://npm.example/")
    assert await url(where) == "https://npm.example"
    (where.home / ".npmrc").write_text("registry=https://user.example/")
    assert await url(where) == "https://user.example"
    (where.cwd / ".npmrc").write_text("registry=https://project.example/\n")
    assert await url(where) == "https://project.example"
    environ = with_environ(where, NPM_CONFIG_REGISTRY="https://environment.example/path/")
    assert await url(environ) == "https://environment.example/path"
    (where.home / ".npmrc").write_text("@varlet:registry=https://scope.example/")
    assert await url(environ) == "https://scope.example"
    assert await url(environ, "vue") == "https://environment.example/path"
    assert await url(environ, named="https://profile.example") == "https://profile.example"


async def test_the_users_file_can_be_elsewhere(where: NpmEnvironment, tmp_path: Path) -> None:
    """`npm_config_userconfig` says where."""
    (tmp_path / "rc").write_text("registry=https://${HOST}/")
    environ = with_environ(where, npm_config_userconfig=str(tmp_path / "rc"), HOST="elsewhere.example")
    assert await url(environ) == "https://elsewhere.example"


@pytest.mark.parametrize("script", ["echo undefined", "echo", "echo https://half.example; exit 1", "echo null"])
async def test_npm_without_an_answer_names_no_registry(where: NpmEnvironment, script: str) -> None:
    """So does an npm that fails."""
    install_npm(where, script)
    assert await url(where) is None


async def test_what_npm_says_on_stderr_is_no_answer(where: NpmEnvironment) -> None:
    """Its warnings are many."""
    install_npm(where, "echo npm warn Unknown user config >&2; echo https://npm.example")
    assert await url(where) == "https://npm.example"


async def test_a_pipe_is_no_npmrc(where: NpmEnvironment) -> None:
    """Opening one would wait for its writer, longer than any deadline."""
    os.mkfifo(where.cwd / ".npmrc")
    (where.home / ".npmrc").write_text("registry=https://user.example/")
    assert await url(where) == "https://user.example"


async def test_npm_that_hangs_is_given_up(where: NpmEnvironment, mock_clock: MockClock) -> None:
    """The sentence says what makes it unnecessary."""
    install_npm(where, "exec /bin/sleep 600")

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(UpstreamUnavailable) as raised:
                await url(where)
            assert str(raised.value) == (
                "npm: `npm config get registry` gave no answer within 10s; upstreams.npm.registry makes it unnecessary"
            )
            nursery.cancel_scope.cancel()

        while True:
            mock_clock.jump(1)
            await trio.testing.wait_all_tasks_blocked(0.0)


@pytest.mark.parametrize(
    "address",
    ["ftp://registry.example", "registry.example", "https://user:canary@registry.example/", "https://", "https://[",
     "https://registry.example/?canary=1", "https://registry.example/#canary", "${NOWHERE}", "https://h:port/"],
)  # fmt: skip
async def test_what_is_no_registry(where: NpmEnvironment, address: str) -> None:
    """Refused without quoting it, since it may hold a password."""
    environ = with_environ(where, npm_config_registry=address)
    with pytest.raises(UpstreamRejected) as raised:
        await url(environ)
    assert str(raised.value) == (
        "npm: the registry that npm's configuration names is not an http(s) address without user name, ? and #; "
        "correct it, or set upstreams.npm.registry"
    )


TOKENS = {"//registry.example/npm/": "canary-1", "//registry.example": "canary-2", "//other.example/": "canary-3"}


@pytest.mark.parametrize(
    ("address", "token"),
    [
        ("https://registry.example/npm/@varlet%2fui", "canary-1"),
        ("https://registry.example/npm/ui/-/ui-1.0.0.tgz", "canary-1"),
        ("https://registry.example/npmx/ui", "canary-2"),
        ("https://registry.example/", "canary-2"),
        ("https://registry.example:8443/npm/ui", None),
        ("https://registry.example.evil.example/npm/ui", None),
        ("https://evil.example/registry.example/npm/ui", None),
    ],
)
def test_a_token_is_sent_to_its_own_address_only(address: str, token: str | None) -> None:
    """The longest configured prefix of host and path."""
    registry = Registry("npm", "https://registry.example/npm", TOKENS)
    expected = [("Authorization", f"Bearer {token}")] if token else []
    assert registry.credentials(httpx2.URL(address)) == expected
    assert "canary" not in repr(registry)


async def test_tokens_are_read_and_filled_in(where: NpmEnvironment) -> None:
    """The project's before the user's; one whose variable is not set is none."""
    (where.home / ".npmrc").write_text("//a.example/:_authToken=user\n//b.example/:_authToken=${TOKEN}\n")
    (where.cwd / ".npmrc").write_text("//a.example/:_authToken=project\n//c.example/:_authToken=${NOWHERE}\n")
    registry = await find_registry("npm", "ui", "https://a.example", with_environ(where, TOKEN="secret"))
    assert registry is not None
    assert registry.tokens == {"//a.example/": "project", "//b.example/": "secret"}


@pytest.mark.parametrize(
    ("registry", "tarball", "asked"),
    [
        ("https://r.example", "https://r.example/ui/-/ui-1.tgz", "https://r.example/ui/-/ui-1.tgz"),
        ("https://r.example", "https://npm.example/@v/ui/-/ui-1.tgz", "https://r.example/@v/ui/-/ui-1.tgz"),
        ("https://r.example/npm", "https://npm.example/ui/-/ui-1.tgz", "https://r.example/npm/ui/-/ui-1.tgz"),
        ("https://r.example/npm", "https://npm.example/npm/ui/-/ui-1.tgz", "https://r.example/npm/ui/-/ui-1.tgz"),
        ("https://r.example/a", "https://r.example/b/ui-1.tgz", "https://r.example/b/ui-1.tgz"),
        ("https://r.example", "http://r.example/ui-1.tgz", "https://r.example/ui-1.tgz"),
        ("https://r.example", "http://169.254.169.254/latest/meta-data", "https://r.example/latest/meta-data"),
        ("https://r.example", "https://r.example:22/ui-1.tgz", "https://r.example/ui-1.tgz"),
        ("https://r.example", "https://u:p@x.example/ui-1.tgz?a=b&c#d", "https://r.example/ui-1.tgz?a=b&c="),
        ("https://r.example", "file:///etc/passwd", "https://r.example/etc/passwd"),
    ],
)
def test_a_tarball_is_on_the_registry(registry: str, tarball: str, asked: str) -> None:
    """Whatever host its address names, nothing but the registry is dialled."""
    assert str(Registry("npm", registry).tarball(tarball)) == asked


@pytest.mark.parametrize(
    "tarball", ["https://r.example/a/../../b", "https://r.example/%2e%2e/b", "https://r.example/a\\b"]
)
def test_a_tarball_whose_path_climbs(tarball: str) -> None:
    """The registry's answer is not trusted either."""
    with pytest.raises(UpstreamRejected, match=r"could lead elsewhere and is not sent$"):
        Registry("npm", "https://r.example").tarball(tarball)


def test_a_tarball_whose_address_is_none() -> None:
    """Brackets without an address."""
    with pytest.raises(UpstreamInvalid, match=r"^npm: the registry names a tarball whose address is none$"):
        Registry("npm", "https://r.example").tarball("https://[/x")


def test_a_scopes_slash_is_encoded() -> None:
    """As npm asks."""
    assert str(Registry("npm", "https://r.example/npm").packument("@varlet/ui")) == "https://r.example/npm/@varlet%2fui"
