from __future__ import annotations

import pytest

from tests.profile.folder import Folder

PROFILE = """
[strategies.s]
ttl = "1m"
[upstreams.u]
type = "http"
base_url = "https://api.example.org"
{upstream}
[tools.t]
description = "d"
strategy = "s"
input.properties = {{ id = {{ type = "string" }} }}
fetch = {{ {fetch} upstream = "u", path = "users" }}
"""


def profile(upstream: str, fetch: str) -> str:
    """A profile with one upstream and one tool, and these keys in them."""
    return PROFILE.format(upstream=upstream, fetch=f"{fetch}," if fetch else "")


@pytest.mark.parametrize(
    ("upstream", "fetch", "warnings"),
    [
        ('batch = { parameter = "ids" }', 'batch_key = "{id}"', []),
        (
            'batch = { parameter = "ids" }',
            "",
            ["upstreams.u.batch: warning: no fetch has a batch_key, so no requests ever join"],
        ),
        (
            'batch = { parameter = "ids", window = "1m" }',
            'batch_key = "{id}"',
            ["upstreams.u.batch.window: warning: a request may wait 1m for others, and timeout is 30s"],
        ),
        (
            "",
            'method = "PUT"',
            ["tools.t.fetch.method: warning: PUT changes something, and the tool says that it only reads"],
        ),
        ("", 'method = "POST", body = { q = "{id}" }', []),
        (
            'headers = { authorization = "x" }\nauth = { type = "bearer", token = "${credential:t}" }',
            "",
            [
                "upstreams.u.headers.authorization: warning: auth sends the header Authorization, too, and its own is "
                "the one that counts"
            ],
        ),
        (
            'auth = { type = "oauth", client_id = "c", client_secret = "${credential:t}", token_url = "http://a.b" }',
            "",
            ["upstreams.u.auth.token_url: warning: the client's secret crosses the network unencrypted"],
        ),
    ],
)
def test_contradictions(folder: Folder, upstream: str, fetch: str, warnings: list[str]) -> None:
    """What an HTTP upstream says against itself is warned about at the key that says it."""
    folder.write("credentials/t", "canary")
    folder.write("p.toml", profile(upstream, fetch))
    loaded = folder.load(environ={"CREDENTIALS_DIRECTORY": str(folder.path / "credentials")})
    found = [str(warning).partition("\n")[0].split(": ", 1)[1] for warning in loaded.warnings]
    assert found == warnings
