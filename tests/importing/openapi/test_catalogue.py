from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.importing.openapi.catalogue import Choice, imported
from gateway.importing.source import Specification, SpecificationError
from tests.importing.openapi.rig import catalogue, loaded, parameter, specification, tools_of

PETS = {
    "/pets": {
        "get": {
            "operationId": "pets/listAll",
            "tags": ["pets"],
            "summary": "List pets",
            "description": "All of them.",
            "parameters": [parameter("limit", "query", schema={"type": "integer", "default": 20})],
            "responses": {
                "200": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "array",
                                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                            }
                        }
                    }
                }
            },
        },
        "post": {"operationId": "createPet", "tags": ["pets", "write"], "deprecated": True},
    },
    "/pets/{id}": {
        "parameters": [parameter("id", "path")],
        "put": {"operationId": "replacePet"},
        "delete": {"operationId": "deletePet"},
        "options": {},
    },
    "/readme": {"get": {"responses": {"200": {"content": {"text/markdown": {}}}}}},
}


def test_a_catalogue(tmp_path: Path) -> None:
    """Every operation is a tool with a name, a title, a description, its origin, and hints by its method."""
    result = catalogue(PETS)
    profile = loaded(tmp_path, result)
    assert list(profile.tools) == ["pets_list_all", "create_pet", "replace_pet", "delete_pet", "get_readme"]
    hints = {name: tool.annotations for name, tool in profile.tools.items()}
    assert [(h.read_only, h.idempotent, h.destructive) for h in hints.values()] == [
        (True, True, False),
        (False, False, False),
        (False, True, False),
        (False, True, True),
        (True, True, False),
    ]
    listed = profile.tools["pets_list_all"]
    assert (listed.title, listed.description) == ("List pets", "List pets\n\nAll of them.")
    assert listed.result.select == "{ items: @ }"
    assert profile.tools["create_pet"].description == "Deprecated."
    assert profile.tools["replace_pet"].description == "PUT /pets/{id}"
    assert profile.tools["get_readme"].result.format == "text"
    assert "\n# GET /pets (pets/listAll, line 14)\n[tools.pets_list_all]\n" in result.text
    assert result.left_out == ["OPTIONS /pets/{id}: the method OPTIONS"]


def test_an_answer_in_outline() -> None:
    """Types three levels deep, and null everywhere; alternatives and circles are not told."""
    node: dict[str, Any] = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "maxLength": 3},
            "count": {"type": "integer"},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "next": {"$ref": "#/components/schemas/Node"},
        },
    }
    responses = {"2XX": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}}}
    result = catalogue({"/a": {"get": {"responses": responses}}}, components={"schemas": {"Node": node}})
    (found,) = tools_of(result).values()
    members = found["output"]["properties"]
    assert members["name"] == {"type": ["string", "null"]}
    assert members["count"] == {"type": ["number", "null"]}
    assert members["either"] == {}
    assert members["next"]["properties"]["next"]["properties"]["next"] == {"type": ["object", "null"]}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(include=["pets/*"]), ["pets_list_all"]),
        (Choice(include=["write", "/readme"]), ["create_pet", "get_readme"]),
        (Choice(include=["/readme"], exclude=["/read?e", "get[R]eadme"]), ["get_readme"]),
        (Choice(exclude=["/pets*", "createPet"], prefix="x_"), ["x_get_readme"]),
    ],
)
def test_what_is_chosen(choice: Choice, expected: list[str]) -> None:
    """By operation id, path or tag, with a prefix in front of the names."""
    assert list(tools_of(catalogue(PETS, choice=choice))) == expected


def test_nothing_is_chosen() -> None:
    """That is an error, since it can't be meant."""
    with pytest.raises(SpecificationError, match=r"^spec\.json: no operation can be imported; see --include"):
        catalogue(PETS, choice=Choice(include=["nope"]))


def test_names_are_unique_and_short(tmp_path: Path) -> None:
    """Ids that come again, are very long or have no letters are still names."""
    ids = ["a-b", "a_b", "A.B", "x" * 300, "x" * 299 + "y", "取得", "get HTTPServer2Info"]
    paths = {f"/{number}": {"get": {"operationId": said}} for number, said in enumerate(ids)}
    names = list(loaded(tmp_path, catalogue(paths)).tools)
    assert names[:3] == ["a_b", "a_b_2", "a_b_3"]
    assert names[5:] == ["tool", "get_http_server2_info"]
    assert all(len(name) <= 64 for name in names)
    assert len(set(names)) == len(ids)


@pytest.mark.parametrize(
    ("servers", "where", "expected"),
    [
        ([{"url": "https://a.example.org/v1/"}], "spec.json", "https://a.example.org/v1"),
        (
            [{"url": "https://{h}.example.org/{b}", "variables": {"h": {"default": "eu"}, "b": {"default": "v2"}}}],
            "spec.json",
            "https://eu.example.org/v2",
        ),
        ([{"url": "/v3"}], "https://docs.example.org/api/spec.json", "https://docs.example.org/v3"),
        ([], "https://docs.example.org/api/spec.json", "https://docs.example.org"),
    ],
)
def test_servers(servers: list[Any], where: str, expected: str) -> None:
    """Variables have their defaults, and an address without a host begins at the specification's own."""
    found = specification({"/a": {"get": {}}}, servers=servers)
    result = imported(Specification(where, found.text, found.content), Choice())
    assert f'base_url = "{expected}"' in result.text


@pytest.mark.parametrize(
    "url", ["/v1", "ftp://a", "https://user@a", "https://a/{x}", "https://a?x=1", "", "https://[", 5]
)
def test_servers_that_a_profile_cannot_have(url: Any) -> None:
    """The sentence says which option helps, and it does."""
    with pytest.raises(SpecificationError, match=r"say it with --base-url$"):
        catalogue({"/a": {"get": {}}}, servers=[{"url": url}])
    choice = Choice(base_url="http://127.0.0.1:8000")
    assert catalogue({"/a": {"get": {}}}, servers=[{"url": url}], choice=choice).tools == 1


def test_an_operation_of_another_server(tmp_path: Path) -> None:
    """It reads from an upstream of its own."""
    paths = {"/a": {"get": {}}, "/b": {"get": {"servers": [{"url": "https://other.example.org"}]}}}
    profile = loaded(tmp_path, catalogue(paths))
    fetch = profile.tools["get_b"].fetch
    assert fetch is not None
    assert fetch.upstream == "the-api-2"


SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "login": {"type": "http", "scheme": "basic"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Key", "description": "Ask us\nfor one"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "app": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://example.org/token"}}},
}


def test_credentials(tmp_path: Path) -> None:
    """What the specification says of them stands in comments, each ready to be taken up; without, it loads, too."""
    result = catalogue({"/a": {"get": {}}}, components={"securitySchemes": SCHEMES})
    loaded(tmp_path, result)
    for line in (
        '# token = "${credential:the-api-token}"',
        '# type = "basic"',
        '# name = "X-Key"',
        '# token_url = "https://example.org/token"',
        "# The specification's query (apiKey) is nothing that a profile can say.",
    ):
        assert line in result.text.splitlines()
    assert "for one" not in result.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "expected an OpenAPI document, found no object"),
        ({"swagger": "2.0"}, "expected OpenAPI 3.0 or 3.1, found Swagger 2.0; convert it first"),
        ({}, "expected the key openapi, 3.0 or 3.1, found none"),
        ({"openapi": "4.0.0"}, "found 4.0.0"),
        ({"openapi": 3.0}, "found 3.0"),
        ({"openapi": "3.1.0", "paths": []}, "expected an object at paths"),
        ({"openapi": "3.1.0"}, "no operation can be imported"),
    ],
)
def test_what_is_no_specification(content: Any, reason: str) -> None:
    """A sentence says what was expected, and what to do with an older one."""
    with pytest.raises(SpecificationError) as caught:
        imported(Specification("s", "", content), Choice())
    assert reason in str(caught.value)


HOSTILE = "\n[tools.evil]\r\x00\x1b[31m\u2028\" ''' \\ ${HOME} ${credential:x} {x} #"


def test_hostile_texts(tmp_path: Path) -> None:
    """No text of a specification ends a comment or a value, is filled in, or becomes a template."""
    operation = {
        "operationId": HOSTILE,
        "summary": HOSTILE,
        "description": HOSTILE,
        "parameters": [
            parameter(HOSTILE, "query", description=HOSTILE, schema={"type": "string", "enum": [HOSTILE]}),
            parameter("x", "path"),
        ],
        "responses": {
            "200": {"content": {"application/json": {"schema": {"properties": {HOSTILE: {"type": "string"}}}}}}
        },
    }
    schemes = {HOSTILE: {"type": "apiKey", "in": "header", "name": HOSTILE, "description": HOSTILE}}
    result = catalogue(
        {f"/a#{HOSTILE}": {"get": {}}, "/b/{x}": {"get": operation}, f"/{HOSTILE}": {"get": {}}},
        info={"title": HOSTILE, "version": HOSTILE},
        components={"securitySchemes": schemes},
    )
    profile = loaded(tmp_path, result)
    (found,) = [tool for tool in profile.tools.values() if tool.input.get("properties")]
    assert found.description == f"{HOSTILE.strip()}\n\n{HOSTILE.strip()}"
    assert found.fetch is not None
    assert list(found.fetch.query) == [HOSTILE]
    assert "evil" not in profile.tools


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "object"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "$ref",
                    "enum",
                    "required",
                    "allOf",
                    "schema",
                    "name",
                    "in",
                    "default",
                    "a",
                ]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=150)
@example(None, None, {"type": None, "enum": [float("inf")]}, None)
@example({"far": {"$ref": "elsewhere.json"}, "round": {"$ref": "#/components/securitySchemes/round"}}, *[None] * 3)
@given(junk, junk, junk, junk)
def test_junk(tmp_path_factory: pytest.TempPathFactory, a: Any, b: Any, c: Any, d: Any) -> None:
    """Whatever stands where something else was expected is left out, or the operation is; what is written loads."""
    operation = {
        "parameters": [a, parameter("p", "query", schema=b)],
        "requestBody": {"content": {"application/json": c}},
    }
    responses = {"200": {"content": {"application/json": {"schema": d}}}}
    paths: dict[str, Any] = {"/x": {"get": {}}, "/a": {"post": {**operation, "responses": responses}}, "/b": d}
    paths["/c"] = {"put": {"requestBody": {"content": {"application/json": {"schema": c}}}, "tags": a, "summary": b}}
    loaded(tmp_path_factory.getbasetemp(), catalogue(paths, components={"securitySchemes": a, "schemas": b}))
