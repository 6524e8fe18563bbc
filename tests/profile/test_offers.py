from __future__ import annotations

import pytest

from tests.profile.folder import Folder

HEAD = """
[strategies.s]
ttl = "1m"
[upstreams.u]
type = "http"
base_url = "https://example.org"
[tools.list_books]
description = "d"
strategy = "s"
fetch = { upstream = "u", path = "books" }
[tools.get_book]
description = "d"
strategy = "s"
input.properties = { name = { type = "string" }, language = { type = "string", default = "en" } }
fetch = { upstream = "u", path = "{name}" }
[tools.set_book]
description = "d"
strategy = "s"
annotations.read_only = false
fetch = { upstream = "u", path = "books", method = "POST" }
[resources.book]
uri = "library://books/{name}"
tool = "get_book"
"""


def test_what_is_right(folder: Folder) -> None:
    """A field is the tool's argument of its name, or stands in `arguments`; a prompt may embed what is declared."""
    folder.load(
        HEAD
        + """
[resources.all]
uri = "library://books"
tool = "list_books"
[resources.page]
uri = "library://{lang}/pages/{name}"
tool = "get_book"
arguments = { language = "{lang}" }
complete.lang = { values = ["en", "zh"] }
complete.name = { tool = "list_books", select = "books[].name" }
[prompts.read]
arguments.name = { required = true, complete = { tool = "get_book", arguments = { name = "{name}" }, select = "a" } }
[[prompts.read.messages]]
text = "Read {name}."
[[prompts.read.messages]]
resource = "library://books/{name}"
[[prompts.read.messages]]
role = "assistant"
resource = "library://books"
"""
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'resources.x = { uri = "books/{name}", tool = "get_book" }',
            'resources.x.uri: expected a URI such as "library://components/{name}", in which a field is a whole '
            'segment, and not the scheme, found "books/{name}"',
        ),
        (
            'resources.x = { uri = "library://a-{name}", tool = "get_book" }',
            'resources.x.uri: expected a URI such as "library://components/{name}", in which a field is a whole '
            'segment, and not the scheme, found "library://a-{name}"',
        ),
        (
            'resources.x = { uri = "library://books/{title}", tool = "get_book", arguments = { name = "{title}" } }',
            'resources.book.uri: expected a URI that is not resources.x\'s too, found "library://books/{name}"',
        ),
        (
            'resources.x = { uri = "library://b/{nam}", tool = "get_book" }',
            "resources.x.uri: expected a field that is an argument of get_book, or stands in arguments, found {nam}",
        ),
        (
            'resources.x = { uri = "library://b", tool = "get_boko" }',
            'resources.x.tool: expected one of [tools]: get_book, list_books or set_book, found "get_boko"',
        ),
        (
            'resources.x = { uri = "library://b", tool = "set_book" }',
            'resources.x.tool: expected a tool that only reads, found "set_book"',
        ),
        (
            'resources.x = { uri = "library://b", tool = "get_book", arguments = { nam = "x" } }',
            'resources.x.arguments.nam: expected one of the arguments of get_book: language or name, found "nam"',
        ),
        (
            'resources.x = { uri = "library://b", tool = "list_books", arguments = { nam = "x" } }',
            'resources.x.arguments.nam: expected no arguments: list_books has none, found "nam"',
        ),
        (
            'resources.x = { uri = "library://b", tool = "get_book", arguments = { name = "{nam}" } }',
            "resources.x.arguments.name: expected a declared argument, of which there are none, found {nam}",
        ),
        (
            'resources.x = { uri = "library://b", tool = "list_books", mime_type = "text" }',
            'resources.x.mime_type: expected a media type such as "text/markdown", found "text"',
        ),
        (
            'resources.x = { uri = "library://c/{name}", tool = "get_book", complete = { nam = { values = ["a"] } } }',
            'resources.x.complete.nam: expected one of the declared arguments: name, found "nam"',
        ),
        (
            'resources.x = { uri = "library://c/{name}", tool = "get_book", complete = { name = {} } }',
            "resources.x.complete.name: expected either `values`, or `tool` and `select`, found neither",
        ),
        (
            'resources.x = { uri = "library://c/{name}", tool = "get_book", complete.name = { tool = "list_books" } }',
            "resources.x.complete.name: expected `tool` and `select`, found one of them",
        ),
        ("prompts.x = { messages = [] }", "prompts.x.messages: expected an array of 1 or more, found an empty array"),
        (
            "prompts.x = { messages = [{}] }",
            "prompts.x.messages[0]: expected either `text` or `resource`, found neither",
        ),
        (
            'prompts.x = { messages = [{ role = "system", text = "a" }] }',
            'prompts.x.messages[0].role: expected "user" or "assistant", found "system"',
        ),
        (
            'prompts.x = { messages = [{ text = "{nam}" }], arguments.name = {} }',
            "prompts.x.messages[0].text: expected one of the declared arguments: name, found {nam}",
        ),
        (
            'prompts.x = { messages = [{ text = "a", when = "nam" }], arguments.name = {} }',
            'prompts.x.messages[0].when: expected one of the declared arguments: name, found "nam"',
        ),
        (
            'prompts.x = { messages = [{ resource = "library://book" }] }',
            "prompts.x.messages[0].resource: expected the URI of one of [resources]: library://books/{name}, "
            'found "library://book"',
        ),
        (
            'prompts.x = { messages = [{ resource = "library://books/{name}" }], arguments.name = {} }',
            "prompts.x.messages[0].resource: expected an argument that is required, has a default, or is named in "
            "when: name may be empty, found {name}",
        ),
        (
            'prompts.x = { messages = [{ text = "a" }], arguments.name = { required = true, default = "a" } }',
            'prompts.x.arguments.name.default: expected no default of an argument that must be given, found "a"',
        ),
    ],
)
def test_faults(folder: Folder, text: str, line: str) -> None:
    """What leads nowhere, and what could never be made."""
    assert [found.split(": ", 1)[1] for found in folder.lines(text + "\n" + HEAD)] == [line]
