from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from tests.importing.openapi.rig import catalogue, parameter, tool


def translated(schema: dict[str, Any], **schemas: Any) -> Any:
    """The schema of an argument, as it is written."""
    operation = {"parameters": [parameter("p", "query", schema=schema, explode=False)]}
    return tool(operation, components={"schemas": schemas})["input"]["properties"]["p"]


def body_schema(schema: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    """The input of a tool that is sent `schema` as one value; it has to compile."""
    operation = {"requestBody": {"content": {"application/json": {"schema": {"type": "array", "items": schema}}}}}
    found = tool(operation, method="post", components={"schemas": schemas})["input"]
    jsonschema_rs.validator_for(found)
    assert isinstance(found, dict)
    return found


def accepts(found: dict[str, Any], value: Any) -> bool:
    return jsonschema_rs.validator_for(found).is_valid({"body": [value]})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (
            {"type": "string", "enum": ["a", None], "nullable": True},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "integer", "exclusiveMinimum": 1}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "string", "example": "x", "xml": {}, "x-a": 1, "discriminator": {}}, {"type": "string"}),
        ({"type": "file"}, {}),
        ({"type": "integer", "maximum": 1e300, "minLength": -1, "pattern": 5}, {"type": "integer"}),
        ({"type": "integer", "default": "none"}, {"type": "integer"}),
        ({"type": "string", "default": None, "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "pattern": "("}, {"type": "string"}),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, {"allOf": [{"type": "string"}, {"maxLength": 3}]}),
    ],
)
def test_words(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """OpenAPI's own words become JSON Schema's, what means nothing there is left out, and TOML can hold it all."""
    assert translated(schema) == expected


def test_small_definitions_stand_in_place() -> None:
    """What is short is read where it is used."""
    assert translated({"$ref": "#/components/schemas/Id"}, Id={"type": "string", "format": "uuid"}) == {
        "type": "string",
        "format": "uuid",
    }


def test_circles() -> None:
    """A schema that holds itself is a definition that refers to itself, and still checks."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "n": {"type": "integer"}}}
    found = body_schema({"$ref": "#/components/schemas/Node"}, Node=node)
    assert found["$defs"]["Node"]["properties"]["next"] == {"$ref": "#/$defs/Node"}
    assert accepts(found, {"next": {"next": {"n": 1}}})
    assert not accepts(found, {"next": {"next": {"n": "x"}}})


def test_a_circle_through_others_and_null() -> None:
    """Circles lead through allOf, arrays and nullable references, too."""
    a = {"allOf": [{"$ref": "#/components/schemas/B"}], "description": "x" * 400}
    b = {"type": "object", "properties": {"a": {"type": "array", "items": {"$ref": "#/components/schemas/A"}}}}
    found = body_schema({"allOf": [{"$ref": "#/components/schemas/A"}], "nullable": True}, A=a, B=b)
    assert accepts(found, {"a": [{"a": []}]})
    assert accepts(found, None)
    assert not accepts(found, {"a": [{"a": 1}]})


@pytest.mark.parametrize(
    "reference",
    ["#/paths/~1a~1%7Bid%7D/get/parameters/0/schema", "#/paths/~1a~1{id}/get/parameters/0/schema"],
)
def test_references_into_paths(reference: str) -> None:
    """A reference may be percent-encoded, escaped, and lead into an array."""
    paths = {
        "/a/{id}": {"get": {"parameters": [parameter("id", "path", schema={"type": "integer"})]}},
        "/b": {"get": {"parameters": [parameter("b", "query", schema={"$ref": reference})]}},
    }
    assert 'b = { type = "integer" }' in catalogue(paths).text


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (
            "other.json#/a",
            "expected references within the document, found other.json#/a; bundle the specification first",
        ),
        ("#/components/schemas/Nope", "#/components/schemas/Nope leads nowhere: there is no Nope"),
        ("#anchor", "expected a reference such as #/components/schemas/X, found #anchor"),
        ("#/components/schemas/Loop", "refers to itself"),
    ],
)
def test_references_that_lead_nowhere(reference: str, reason: str) -> None:
    """The operation that needs one is left out with the reason; the others are imported."""
    loop = {"$ref": "#/components/schemas/Loop"}
    paths = {"/a": {"get": {"parameters": [parameter("p", "query", schema={"$ref": reference})]}}, "/b": {"get": {}}}
    result = catalogue(paths, components={"schemas": {"Loop": loop}})
    assert result.tools == 1
    assert reason in result.left_out[0]


def test_a_schema_that_is_too_large() -> None:
    """What no model could read is no tool; depth alone is cut, not followed."""
    wide = {f"p{number}": {"type": "object", "properties": {"a": {}, "b": {}}} for number in range(1000)}
    operation = {"requestBody": {"content": {"application/json": {"schema": {"properties": wide}}}}}
    result = catalogue({"/a": {"post": operation, "get": {}}})
    assert result.left_out == ["POST /a: arguments whose schemas are too large"]
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    body_schema(deep)
