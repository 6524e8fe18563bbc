from __future__ import annotations

from pathlib import Path

import pytest

from tests.profile.folder import Folder

SERVER = """\
[strategies.s]
ttl = "1h"
[upstreams.far]
type = "mcp"
command = ["server"]
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[upstreams.a]\ntype = 'mcp'",
            "p.toml:1:1: upstreams.a: expected either `command` (stdio) or `url` (streamable HTTP), found neither",
        ),
        (
            "[upstreams.a]\ntype = 'mcp'\ncommand = ['x']\nurl = 'https://x.org'",
            "p.toml:1:1: upstreams.a: expected either `command` (stdio) or `url` (streamable HTTP), found both",
        ),
        (
            "[upstreams.a]\ntype = 'mcp'\nurl = 'https://u:p@x.org/mcp'",
            'p.toml:3:7: upstreams.a.url: expected an address such as "https://example.org/api", without a user '
            'name, found "https://u:p@x.org/mcp"',
        ),
        (
            "[upstreams.a]\ntype = 'mcp'\ncommand = 'npx server'",
            'p.toml:3:11: upstreams.a.command: expected an array, found "npx server"',
        ),
        (
            SERVER + "strategy = 'z'",
            'p.toml:6:12: upstreams.far.strategy: expected one of [strategies]: s, found "z"',
        ),
        (
            SERVER + "tools.x.strategy = 'z'",
            'p.toml:6:20: upstreams.far.tools.x.strategy: expected one of [strategies]: s, found "z"',
        ),
        (
            SERVER + "tools.x.name = 'a'\ntools.y.name = 'a'",
            "p.toml:7:16: upstreams.far.tools.y.name: expected a name that nothing else has, and "
            'upstreams.far.tools.x.name has this one, found "a"',
        ),
        (
            SERVER + "env = { 'A=B' = 'x' }",
            'p.toml:6:9: upstreams.far.env."A=B": expected the name of an environment variable, found "A=B"',
        ),
        (
            SERVER + '[upstreams.FAR]\ntype = "mcp"\ncommand = ["x"]',
            "p.toml:6:12: upstreams.FAR: expected a name whose URIs are not those of far (both begin with far+), "
            'found "FAR"',
        ),
        (
            SERVER + 'uri_prefix = ""\n[upstreams.near]\ntype = "mcp"\ncommand = ["x"]\nuri_prefix = ""',
            "p.toml:10:14: upstreams.near.uri_prefix: expected a prefix whose URIs are not those of far (neither has "
            'anything in front of them), found ""',
        ),
        (
            SERVER + 'uri_prefix = "Docs"',
            'p.toml:6:14: upstreams.far.uri_prefix: expected the beginning of a scheme such as "docs+", or nothing at '
            'all, found "Docs"',
        ),
        (
            SERVER + '[tools.t]\ndescription = "x"\nstrategy = "s"\nfetch = { upstream = "far", path = "x" }',
            "p.toml:9:22: tools.t.fetch.upstream: expected an upstream of documents; the tools of an MCP server are "
            'federated as they are, under its prefix, found "far"',
        ),
        (
            SERVER + "pins = { echo = 'sha256:0' }",
            'p.toml:6:17: upstreams.far.pins.echo: expected a hash such as "sha256:9f86d0…", as `gateway pins` prints '
            'it, found "sha256:0"',
        ),
        (
            SERVER + f"pins = {{ echo = 'sha256:{'0' * 64}' }}",
            "p.toml:3:1: upstreams.far: expected pins whose keys begin with tools/, resources/, templates/, prompts/, "
            'found "echo"',
        ),
    ],
)
def test_faults(folder: Folder, text: str, line: str) -> None:
    """Each is one sentence with its place."""
    assert folder.lines(text) == [line]


def test_a_credential_in_the_command_is_a_fault(folder: Folder, tmp_path: Path) -> None:
    """Arguments of a process can be read by everybody on the machine; its environment can not."""
    (tmp_path / "token").write_text("canary")
    text = SERVER.replace('["server"]', '["server", "${credential:token}"]')
    (found,) = folder.lines(
        text + 'env = { T = "${credential:token}" }', environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}
    )
    assert "an argument without a credential, which belongs into env" in found
    assert "canary" not in found


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("", None),
        ("federate = []", "nothing is federated"),
        ("trust = 'declared'", "only definitions that pins names are live, and it names none"),
        (f"trust = 'any'\npins = {{ 'tools/a' = 'sha256:{'0' * 64}' }}", "pins hold, and any other definition is live"),
        ("reconnect_delay = '2m'", "the first pause may be longer than the longest"),
        ("headers = { A = 'b' }", "headers means nothing to a server that is reached by command"),
    ],
)
def test_contradictions(folder: Folder, more: str, problem: str | None) -> None:
    """Settings that work against each other; an upstream that is federated is used without a fetch."""
    warnings = [str(warning) for warning in folder.load(SERVER + more).warnings]
    assert len(warnings) == (problem is not None), warnings
    assert problem is None or problem in warnings[0]


def test_warming_a_federated_tool(folder: Folder) -> None:
    """It may be there; only a name that no server can have is a contradiction."""
    calls = '[warm]\non_start = true\n[[warm.calls]]\ntool = "far_x"\n[[warm.calls]]\ntool = "near_x"\n'
    (warning,) = folder.load(SERVER + calls).warnings
    assert "there is no tool near_x" in str(warning)
