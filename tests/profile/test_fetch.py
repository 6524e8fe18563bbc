from __future__ import annotations

import pytest

from tests.profile.folder import Folder
from tests.profile.test_http_consistency import profile


def lines(folder: Folder, fetch: str, upstream: str = "") -> list[str]:
    """What is wrong with a fetch, without the place in the file."""
    found = folder.lines(profile(upstream, fetch))
    return [line.split(": ", 1)[1] for line in found]


@pytest.mark.parametrize(
    ("fetch", "fault"),
    [
        (
            'method = "POST", body = { q = "{id}" }, form = { q = "{id}" }',
            "tools.t.fetch: expected either `body` (JSON) or `form`, found both",
        ),
        (
            'body = { q = "{id}" }',
            'tools.t.fetch: expected method = "POST", "PUT" or "PATCH" for a request with content, found GET',
        ),
        (
            'method = "DELETE", form = { q = "{id}" }',
            'tools.t.fetch: expected method = "POST", "PUT" or "PATCH" for a request with content, found DELETE',
        ),
        (
            'method = "HEAD"',
            'tools.t.fetch.method: expected "GET", "POST", "PUT", "PATCH" or "DELETE", found "HEAD"',
        ),
        (
            'method = "POST", body = { q = ["{nmae}"] }',
            "tools.t.fetch.body: expected one of the declared arguments: id, found {nmae}",
        ),
        (
            'method = "POST", form = { q = "{nmae}" }',
            "tools.t.fetch.form.q: expected one of the declared arguments: id, found {nmae}",
        ),
        (
            'batch_key = "{id}"',
            "tools.t.fetch.batch_key: expected no batch_key, or upstreams.u.batch, which says how requests join, "
            'found "{id}"',
        ),
        (
            'pages = { by = "cursor", parameter = "c" }',
            "tools.t.fetch.pages.cursor: expected the key cursor, found none",
        ),
        (
            'pages = { by = "next" }',
            'tools.t.fetch.pages.by: expected "link", "cursor" or "page", found "next"',
        ),
        (
            "pages = { max = 3 }",
            'tools.t.fetch.pages.by: expected the key by, "link", "cursor" or "page", found none',
        ),
        (
            'pages = { by = "link", size = 3 }',
            'tools.t.fetch.pages.size: expected one of the keys items, max, truncate, by or next, found "size"',
        ),
        (
            'html = { select = "a[" }',
            "tools.t.fetch.html.select: expected a CSS selector such as",
        ),
    ],
)
def test_faults(folder: Folder, fetch: str, fault: str) -> None:
    """What a fetch can't be is told with its key."""
    (found,) = lines(folder, fetch)
    assert found.startswith(fault)


def test_a_body_with_a_lonely_brace(folder: Folder) -> None:
    """GraphQL is full of braces, which a template writes twice."""
    (found,) = lines(folder, 'method = "POST", body = { query = "{ user { name } }" }')
    assert found.startswith('tools.t.fetch.body: expected JSON whose texts are templates such as "{name}"; a brace of')
    text = profile("", 'method = "POST", body = { query = "{{ user {{ name }} }}" }')
    assert folder.load(text).profile.tools["t"].documents["document"].body == {"query": "{{ user {{ name }} }}"}


@pytest.mark.parametrize(
    "key", ['method = "POST"', 'read_as = "json"', 'pages = { by = "link" }', "idempotent = true", "html = {}"]
)
def test_a_package_is_asked_for_files_only(folder: Folder, key: str) -> None:
    """What is said about requests means nothing to npm."""
    text = profile("", f'version = "1", {key}')
    text = text.replace('type = "http"', 'type = "npm"').replace(
        'base_url = "https://api.example.org"', 'package = "x"'
    )
    (found,) = folder.lines(text)
    assert "a file of a package is named by path and version alone" in found


@pytest.mark.parametrize(
    ("batch", "fault"),
    [
        ("{ }", "upstreams.u.batch: expected the key parameter: the name of the query parameter that takes the keys"),
        ('{ place = "body", separator = "," }', "upstreams.u.batch: expected no separator: in a body the keys are an"),
    ],
)
def test_a_batch_that_can_not_be(folder: Folder, batch: str, fault: str) -> None:
    """Keys need a place to stand."""
    (found, *_) = lines(folder, 'batch_key = "{id}"', f"batch = {batch}")
    assert found.startswith(fault)


SECRET = 'a credential, "${credential:NAME}"; neither profiles nor the environment are for secrets'


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        ('{ type = "bearer", token = "S" }', "token"),
        ('{ type = "basic", username = "u", password = "S" }', "password"),
        ('{ type = "header", name = "X-Key", value = "S" }', "value"),
        (
            '{ type = "oauth", token_url = "https://a.example/t", client_id = "c", client_secret = "S" }',
            "client_secret",
        ),
    ],
)
def test_secrets_come_from_credentials(folder: Folder, auth: str, key: str) -> None:
    """A literal or a variable is a fault that does not repeat it, and a credential is none."""
    for value, found in (("canary", "a literal"), ("${KEY}", '"${KEY}"')):
        text = profile(f"auth = {auth.replace('S', value)}", "")
        (fault,) = map(str, folder.faults(text, environ={"KEY": "canary"}))
        assert f"upstreams.u.auth.{key}: expected {SECRET}, found {found}" in fault
        assert "canary" not in fault
    folder.write("credentials/k", "canary")
    environ = {"CREDENTIALS_DIRECTORY": str(folder.path / "credentials")}
    text = profile(f"auth = {auth.replace('S', '${credential:k}')}", "")
    loaded = folder.load(text, environ=environ)
    assert "canary" not in repr(loaded.profile)


def test_a_secret_of_the_command_line(folder: Folder) -> None:
    """`--set` stands in the list of processes; it is no place for a secret, either."""
    text = profile('auth = { type = "bearer", token = "${credential:k}" }', "")
    folder.write("credentials/k", "x")
    (fault,) = folder.faults(
        text,
        environ={"CREDENTIALS_DIRECTORY": str(folder.path / "credentials")},
        overrides=["upstreams.u.auth.token=canary"],
    )
    assert "canary" not in str(fault)
    assert "found a literal" in str(fault)
