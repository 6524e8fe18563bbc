from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.importing.openapi.rig import catalogue, loaded, parameter, tool, tools_of


def test_a_name_in_every_position(tmp_path: Path) -> None:
    """The same name in path, query, header, cookie and body is five arguments, each put into its own place."""
    operation = {
        "parameters": [
            parameter("id", "query", required=True),
            parameter("id", "header", required=True),
            parameter("id", "cookie", required=True),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"properties": {"id": {"type": "integer"}}, "required": ["id"]}}
            },
        },
    }
    result = catalogue({"/a/{id}": {"parameters": [parameter("id", "path")], "post": operation}})
    (found,) = tools_of(result).values()
    names = ["id", "id_query", "id_header", "id_cookie", "id_body"]
    assert list(found["input"]["properties"]) == names
    assert found["input"]["required"] == names
    assert found["fetch"] == {
        "upstream": "the-api",
        "path": "a/{id}",
        "method": "POST",
        "query": {"id": "{id_query}"},
        "headers": {"id": "{id_header}", "Cookie": "id={id_cookie}"},
        "body": {"id": "{id_body}"},
    }
    assert list(loaded(tmp_path, result).tools) == ["post_a_id"]


def test_both_levels() -> None:
    """A parameter of the operation takes the place of the path's own of that name and position."""
    paths = {
        "/a": {
            "parameters": [parameter("x", "query", description="shared"), parameter("y", "query")],
            "get": {"parameters": [parameter("x", "query", description="own", schema={"type": "integer"})]},
        }
    }
    (found,) = tools_of(catalogue(paths)).values()
    assert found["input"]["properties"] == {"x": {"description": "own", "type": "integer"}, "y": {"type": "string"}}


@pytest.mark.parametrize(
    ("more", "path"),
    [({}, "a/{p}.json"), ({"style": "label"}, "a/.{p}.json"), ({"style": "matrix"}, "a/;p={p}.json")],
)
def test_styles_of_a_path(more: dict[str, Any], path: str) -> None:
    """A label and a matrix parameter keep the marks around their value."""
    assert tool({"parameters": [parameter("p", "path", **more)]}, "/a/{p}.json")["fetch"]["path"] == path


def test_arrays() -> None:
    """An array that explodes is an array; one that is joined is a text, and says how."""
    array = {"type": "array", "items": {"type": "integer"}}
    found = tool(
        {
            "parameters": [
                parameter("many", "query", schema=array),
                parameter("joined", "query", schema=array, explode=False, description="Ids"),
                parameter("piped", "query", schema=array, style="pipeDelimited", explode=False),
                parameter("p", "path", schema=array),
            ]
        },
        "/a/{p}",
    )
    about = found["input"]["properties"]
    assert about["many"] == array
    assert about["joined"] == {"description": "Ids (several with commas between them)", "type": "string"}
    assert about["piped"]["description"] == "several with bars between them"
    assert about["p"]["type"] == "string"
    assert found["fetch"]["query"] == {"many": "{many}", "joined": "{joined}", "piped": "{piped}"}


def test_objects_in_the_query() -> None:
    """Their members are arguments of their own, by the names that the style gives them on the way."""
    schema = {
        "type": "object",
        "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
        "required": ["to"],
    }
    deep = tool({"parameters": [parameter("f", "query", style="deepObject", schema=schema, required=True)]})
    assert deep["fetch"]["query"] == {"f[from]": "{f_from}", "f[to]": "{f_to}"}
    assert deep["input"]["required"] == ["f_to"]
    form = tool({"parameters": [parameter("f", "query", schema=schema)]})
    assert form["fetch"]["query"] == {"from": "{from}", "to": "{to}"}
    assert "required" not in form["input"]


def test_json_in_the_query() -> None:
    """A parameter with content is one text of JSON."""
    content = {"application/json": {"schema": {"type": "object", "properties": {"a": {}}}}}
    found = tool({"parameters": [{"name": "q", "in": "query", "content": content}]})
    assert found["input"]["properties"] == {"q": {"description": "as JSON", "type": "string"}}


def test_headers_and_cookies() -> None:
    """What a template can't leave out is left out where it is optional, and told; some headers are never asked for."""
    operation = {
        "parameters": [
            parameter("X-Trace", "header"),
            parameter("X-Mode", "header", schema={"type": "string", "default": "fast"}),
            parameter("Authorization", "header", required=True),
            parameter("sid", "cookie"),
        ]
    }
    result = catalogue({"/a": {"get": operation}})
    (found,) = tools_of(result).values()
    assert found["fetch"]["headers"] == {"X-Mode": "{X-Mode}"}
    assert "# left out: the header X-Trace, which is optional" in result.text
    assert "# left out: the cookie sid, which is optional" in result.text


def test_a_cookie_is_one_cookie() -> None:
    """What could begin another cookie is refused by the argument's schema."""
    found = tool({"parameters": [parameter("sid", "cookie", required=True)]})
    assert found["input"]["properties"]["sid"]["pattern"] == r"^[!#-+\--:<-\[\]-~]*$"


@pytest.mark.parametrize(
    ("name", "argument"),
    [("filter[a.b]", "filter_a_b"), ("$top", "top"), ("2fa", "_2fa"), ("名前", "value"), ("x" * 200, "x" * 64)],
)
def test_names_that_no_template_can_hold(name: str, argument: str) -> None:
    """They are spelled another way, and sent as they are."""
    found = tool({"parameters": [parameter(name, "query")]})
    assert found["fetch"]["query"] == {name: f"{{{argument}}}"}


def test_form_and_media_types() -> None:
    """A form is a form, any JSON is JSON, and what can be neither is left out and told."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = tool({"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}}, method="post")
    assert form["fetch"]["form"] == {"a": "{a}"}
    patch = {"requestBody": {"content": {"application/merge-patch+json": {"schema": schema}}}}
    assert tool(patch, method="patch")["fetch"]["body"] == {"a": "{a}"}
    upload = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
    result = catalogue({"/a": {"post": upload, "get": {}}})
    assert result.left_out == ["POST /a: content of type multipart/form-data"]
    assert result.text.endswith("# Left out:\n# POST /a: content of type multipart/form-data\n")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "string"}]},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        {},
    ],
)
def test_content_that_is_one_value(schema: dict[str, Any]) -> None:
    """Content whose members are not all declared is one argument."""
    operation = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    found = tool(operation, method="put")
    assert found["fetch"]["body"] == "{body}"
    assert found["input"]["required"] == ["body"]


def test_all_of_an_object() -> None:
    """The parts of an allOf are one object; what only comes back is not sent."""
    parts = [
        {"$ref": "#/components/schemas/Base"},
        {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
    ]
    base = {"type": "object", "properties": {"a": {"type": "string"}, "id": {"type": "string", "readOnly": True}}}
    operation = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"allOf": parts}}}}}
    found = tool(operation, method="post", components={"schemas": {"Base": base}})
    assert found["fetch"]["body"] == {"a": "{a}", "b": "{b}"}
    assert found["input"]["required"] == ["b"]


def test_content_where_it_has_no_meaning() -> None:
    """A DELETE that needs content can't be a tool; one that may do without it is."""
    content: dict[str, Any] = {"content": {"application/json": {"schema": {"properties": {"a": {}}}}}}
    result = catalogue(
        {"/a": {"delete": {"requestBody": {"required": True, **content}}, "get": {"requestBody": content}}}
    )
    assert result.left_out == ["DELETE /a: a DELETE with content"]
    assert "# left out: the content, which has no meaning with this method" in result.text
