"""What of several servers' definitions is listed, under which names."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import structlog

from gateway.catalogue.federated import Asking
from gateway.errors import UnknownPrompt, UnknownResource, UnknownTool
from gateway.pipeline.invalidation import Selector
from tests.fakes.mcp_rig import Child, content, gateway_of, names, tool, until_listed, upstream

LISTS = {
    "resources": [{"uri": "x://a", "name": "a", "title": "A"}, {"uri": "y://secret", "name": "s"}],
    "resourceTemplates": [{"uriTemplate": "x://{id}", "name": "t"}],
    "prompts": [{"name": "hello"}, {"name": "bye"}],
    "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "completions": {}},
}


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """A server with something of every kind."""
    child = Child(tmp_path / "far")
    child.lists(tool("echo", read_only=True, title="Echo"), tool("write"), tool("write_all"), **LISTS)
    return child


async def test_filters(tmp_path: Path, child: Child) -> None:
    """Globs over the server's own names and URIs; what is left out can't be used either."""
    more = 'include = ["e*", "write*", "hello", "x://*"]\nexclude = ["*_all"]'
    async with gateway_of(tmp_path, upstream(child, more=more)) as gateway:
        assert names(gateway) == ["far_echo", "far_write"]
        assert names(gateway, "resources") == ["far+x://a"]
        assert names(gateway, "templates") == ["far+x://{id}"]
        assert names(gateway, "prompts") == ["far_hello"]
        with pytest.raises(UnknownTool, match="Unknown tool: far_write_all"):
            await gateway.catalogue.call("far_write_all", {})
        with pytest.raises(UnknownResource):
            await gateway.catalogue.read("far+y://secret", Asking())
        with pytest.raises(UnknownPrompt):
            await gateway.catalogue.prompt("far_bye", {}, Asking())
        with pytest.raises(UnknownResource):
            await gateway.catalogue.complete({"type": "ref/resource", "uri": "far+y://{x}"}, {}, Asking())


async def test_what_is_federated(tmp_path: Path, child: Child) -> None:
    """Only the kinds that the profile names, and the others can't be used."""
    async with gateway_of(tmp_path, upstream(child, more='federate = ["tools"]')) as gateway:
        kinds = ("resources", "templates", "prompts")
        assert [names(gateway, kind) for kind in kinds] == [[], [], []]
        assert [gateway.catalogue.offers(kind) for kind in ("tools", "resources", "prompts")] == [True, False, False]
        with pytest.raises(UnknownResource):
            await gateway.catalogue.read("far+x://a", Asking())
    assert "resources/list" not in child.seen


async def test_other_names_and_descriptions(tmp_path: Path, child: Child) -> None:
    """As the profile has them; calls reach the server under its own names."""
    more = """
prefix = "p-"
[upstreams.far.tools.echo]
name = "say"
title = "Say"
description = "Says it."
read_only = false
[upstreams.far.prompts.hello]
description = "A greeting."
[upstreams.far.resources."x://a"]
title = "The first"
"""
    async with gateway_of(tmp_path, upstream(child, more=more)) as gateway:
        assert names(gateway) == ["say", "p-write", "p-write_all"]
        said = gateway.catalogue.definitions[0]
        assert (said["title"], said["description"]) == ("Say", "Says it.")
        assert said["annotations"] == {"readOnlyHint": False}
        assert content(await gateway.catalogue.call("say", {"a": 1})) == 'echo {"a": 1}'
        assert gateway.catalogue.listing("prompts").definitions[0] == {"name": "p-hello", "description": "A greeting."}
        resource = gateway.catalogue.listing("resources").definitions[0]
        assert resource == {"uri": "far+x://a", "name": "p-a", "title": "The first"}
        assert gateway.catalogue.input_schema("say") == {"type": "object"}
        assert gateway.catalogue.input_schema("far_echo") is None


async def test_a_name_that_is_taken_is_left_out(tmp_path: Path, child: Child) -> None:
    """Declared tools come first, then upstreams in the profile's order; what is left out is named in the log, once."""
    other = Child(tmp_path / "near")
    other.lists(tool("echo"), tool("write"), tool("own"))
    declared = """
[upstreams.api]
type = "http"
base_url = "https://api.example.org"
[tools.write]
description = "Declared."
strategy = "s"
fetch = { upstream = "api", path = "x" }
"""
    text = upstream(child, more='prefix = ""') + upstream(other, "near", 'prefix = ""') + declared
    with structlog.testing.capture_logs() as logs:
        async with gateway_of(tmp_path, text) as gateway:
            assert names(gateway) == ["write", "echo", "write_all", "own"]
            assert gateway.catalogue.definitions[0]["description"] == "Declared."
            await gateway.catalogue.call("echo", {})
            gateway.catalogue.refresh()
    told = [
        (line["upstream"], line["definition"], line["name"])
        for line in logs
        if line["event"] == "a federated name is taken already and is left out"
    ]
    assert sorted(set(told)) == [
        ("far", "tools/write", "write"),
        ("near", "tools/echo", "echo"),
        ("near", "tools/write", "write"),
    ]
    assert len(told) == 3
    assert "call echo {}" in child.seen
    assert "call echo {}" not in other.seen


async def test_uris_as_their_server_has_them(tmp_path: Path, child: Child) -> None:
    """With nothing in front of them they are the server's own, but those of another server stay the other's."""
    other = Child(tmp_path / "near")
    other.lists(resources=[{"uri": "x://a", "name": "a"}], capabilities={"resources": {}})
    text = upstream(child, more='uri_prefix = ""') + upstream(other, "near", 'uri_prefix = "n+"\nexclude = ["*hidden"]')
    async with gateway_of(tmp_path, text) as gateway:
        assert names(gateway, "resources") == ["x://a", "y://secret", "n+x://a"]
        assert names(gateway, "templates") == ["x://{id}"]
        for uri, own in (("x://a", "x://a"), ("z://unlisted", "z://unlisted"), ("n+x://a", "x://a")):
            (page,) = (await gateway.catalogue.read(uri, Asking()))["contents"]
            assert page == {"uri": uri, "text": f"of {own}"}
        with pytest.raises(UnknownResource):
            await gateway.catalogue.read("n+x://hidden", Asking())
    assert "read x://a" in other.seen
    assert "read z://unlisted" in child.seen


async def test_a_uri_that_is_declared_is_left_out(tmp_path: Path, child: Child) -> None:
    """The profile's own resource is the one that is listed and read; the log names the other, and what to change."""
    declared = """
[tools.now]
description = "Declared."
strategy = "s"
result.select = "'declared'"
result.format = "text"
[resources.a]
uri = "x://a"
tool = "now"
"""
    with structlog.testing.capture_logs() as logs:
        async with gateway_of(tmp_path, upstream(child, more='uri_prefix = ""') + declared) as gateway:
            assert names(gateway, "resources") == ["x://a", "y://secret"]
            (page,) = (await gateway.catalogue.read("x://a", Asking()))["contents"]
            assert page["text"] == "declared"
    (line,) = [line for line in logs if line["event"] == "a federated name is taken already and is left out"]
    assert line["definition"] == "resources/x://a"
    assert line["remedy"] == "give it another name, or another upstreams.far.uri_prefix"


async def test_a_tool_that_is_only_a_task_is_left_out(tmp_path: Path, child: Child) -> None:
    """What can't be called through the gateway is not offered, and nothing is said of tasks."""
    child.lists(
        tool("echo", execution={"taskSupport": "optional"}), tool("long", execution={"taskSupport": "required"})
    )
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        assert names(gateway) == ["far_echo"]
        assert "execution" not in gateway.catalogue.definitions[0]


async def test_what_is_cached(tmp_path: Path, child: Child) -> None:
    """Tools that read only and have a strategy, by their canonical arguments; never an error, never what changes."""
    child.lists(tool("count", read_only=True), tool("fail", read_only=True), tool("write"), tool("look"))
    more = 'strategy = "s"\n[upstreams.far.tools.look]\nread_only = true'
    async with gateway_of(tmp_path, upstream(child, more=more)) as gateway:
        call = gateway.catalogue.call
        for arguments in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
            assert content(await call("far_count", arguments)) == "1"
        assert content(await call("far_count", {"a": 1.0, "b": 2})) == "2"
        assert content(await call("far_count", None)) == content(await call("far_count", {})) == "3"
        for name in ("fail", "write", "look"):
            results = [await call(f"far_{name}", {}) for _ in range(2)]
            status = orjson.loads(results[1].payload)["_meta"]["gateway/cache"]["status"]
            assert status == ("hit" if name == "look" else "miss")
        assert results[0].message is None
        failed = await call("far_fail", {})
        assert failed.message == "it did not work"
        assert orjson.loads(failed.payload)["isError"]
    assert child.seen.count("call fail {}") == 3
    assert child.seen.count("call look {}") == 1


async def test_a_changed_definition_has_answers_of_its_own(tmp_path: Path, child: Child) -> None:
    """What was cached of a tool does not answer for what it has become."""
    child.lists(tool("count", read_only=True), tool("changed"))
    more = 'strategy = "s"\ntrust = "any"'
    async with gateway_of(tmp_path, upstream(child, more=more)) as gateway:
        assert content(await gateway.catalogue.call("far_count", {})) == "1"
        child.lists(tool("count", read_only=True, description="other"), tool("changed"), tool("new"))
        await gateway.catalogue.call("far_changed", {})
        await until_listed(gateway, ["far_count", "far_changed", "far_new"])
        assert content(await gateway.catalogue.call("far_count", {})) == "2"


async def test_purging(tmp_path: Path, child: Child) -> None:
    """By the tags of the tool and of the upstream."""
    child.lists(tool("count", read_only=True))
    async with gateway_of(tmp_path, upstream(child, more='strategy = "s"')) as gateway:
        for number, tag in enumerate(("tool:far_count", "upstream:far", "strategy:s"), 1):
            assert content(await gateway.catalogue.call("far_count", {})) == str(number)
            assert await gateway.pipeline.purge(Selector("tag", tag)) == 1


async def test_warming(tmp_path: Path, child: Child) -> None:
    """A federated tool can be called ahead."""
    child.lists(tool("count", read_only=True))
    warm = '[warm]\non_start = true\n[[warm.calls]]\ntool = "far_count"\n'
    async with gateway_of(tmp_path, upstream(child, more='strategy = "s"') + warm, ahead=True) as gateway:
        await gateway.warmer.warmed.wait()
        result = await gateway.catalogue.call("far_count", {})
        assert orjson.loads(result.payload)["_meta"]["gateway/cache"]["status"] == "hit"


async def test_more_than_is_taken_over(tmp_path: Path, child: Child) -> None:
    """A server can't make the lists as long as it likes."""
    child.lists(*[tool(f"t{number}") for number in range(30)])
    with structlog.testing.capture_logs() as logs:
        async with gateway_of(tmp_path, upstream(child, more="max_definitions = 10")) as gateway:
            assert names(gateway) == [f"far_t{number}" for number in range(10)]
    assert "upstreams.far.max_definitions" in [line.get("key") for line in logs]
