"""The part of the conformance suite's fixtures that no profile can declare, as an MCP server over stdio.

Run as a program of its own: images, sounds, progress, log messages, questions to the client, lists that change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
import trio
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError

from tests.fakes.conformance_inputs import asking, lacking, wanted

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
BINARY = "test://static-binary"

_IMAGE = {"type": "image", "data": PIXEL, "mimeType": "image/png"}
_PAUSE = 0.05
_HOLDS = {"ttlMs": 60_000, "cacheScope": "public"}
"""Longer than the suite takes: that a list has changed is heard of by a notification, or not at all."""


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def embedded(uri: str, said: str, mime_type: str) -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": said}}


CONTENTS: dict[str, list[dict[str, Any]]] = {
    "test_image_content": [_IMAGE],
    "test_audio_content": [{"type": "audio", "data": SILENCE, "mimeType": "audio/wav"}],
    "test_embedded_resource": [embedded("test://embedded-resource", "This is an embedded resource.", "text/plain")],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        _IMAGE,
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
}
ARGUMENTS = {"test_elicitation": "message", "test_sampling": "prompt"}
TOOLS = (
    *CONTENTS,
    *asking(),
    "test_tool_with_logging",
    "test_logging_tool",
    "test_tool_with_progress",
    "test_missing_capability",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
)
PROMPTS: dict[str, list[str]] = {
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


def complete(**result: Any) -> dict[str, Any]:
    return {"resultType": "complete", **result}


def tool(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if name in ARGUMENTS:
        schema |= {"properties": {ARGUMENTS[name]: {"type": "string"}}, "required": [ARGUMENTS[name]]}
    return {"name": name, "description": f"The fixture {name}", "inputSchema": schema}


def prompt(name: str, arguments: list[str]) -> dict[str, Any]:
    described = [{"name": each, "description": f"The argument {each}", "required": True} for each in arguments]
    return {"name": name, "description": f"The fixture {name}", "arguments": described}


class Fixtures:
    """The handlers, and what the lists have at the moment."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._more_tools: list[str] = []
        self._more_prompts: list[str] = []

    async def list_tools(self, _context: Any, _params: Any) -> dict[str, Any]:
        return complete(tools=[tool(name) for name in (*TOOLS, *self._more_tools)], **_HOLDS)

    async def list_prompts(self, _context: Any, _params: Any) -> dict[str, Any]:
        prompts = PROMPTS | {name: [] for name in self._more_prompts}
        return complete(prompts=[prompt(name, arguments) for name, arguments in prompts.items()], **_HOLDS)

    async def list_resources(self, _context: Any, _params: Any) -> dict[str, Any]:
        described = {"name": "static-binary", "description": "The fixture static-binary", "mimeType": "image/png"}
        return complete(resources=[{"uri": BINARY, **described}], **_HOLDS)

    async def read(self, _context: Any, params: types.ReadResourceRequestParams) -> dict[str, Any]:
        if params.uri != BINARY:
            raise MCPError(code=types.INVALID_PARAMS, message="Resource not found", data={"uri": params.uri})
        return complete(contents=[{"uri": BINARY, "mimeType": "image/png", "blob": PIXEL}], **_HOLDS)

    async def get_prompt(self, context: Any, params: types.GetPromptRequestParams) -> dict[str, Any]:
        match params.name:
            case "test_prompt_with_image":
                content = [_IMAGE, text("Please analyze the image above.")]
            case "test_prompt_with_embedded_resource":
                uri = (params.arguments or {})["resourceUri"]
                content = [
                    embedded(uri, "Embedded resource content for testing.", "text/plain"),
                    text("Please process the embedded resource above."),
                ]
            case "test_input_required_result_prompt":
                question = wanted(params.name, context.params, _capabilities(context))
                if question is not None:
                    return question
                content = [text(str(context.params["inputResponses"]))]
            case _:
                content = [text(f"The prompt {params.name}")]
        return complete(messages=[{"role": "user", "content": each} for each in content])

    async def call(self, context: Any, params: types.CallToolRequestParams) -> dict[str, Any]:
        match params.name:
            case "test_tool_with_logging":
                for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
                    await _log(context, said)
                    await trio.sleep(_PAUSE)
            case "test_logging_tool":
                await _log(context, "a message that nobody asked for")
            case "test_tool_with_progress":
                for progress in (0, 50, 100):
                    await context.session.report_progress(progress, 100)
                    await trio.sleep(_PAUSE)
            case "test_missing_capability":
                if "sampling" not in _capabilities(context):
                    raise lacking(["sampling"])
            case "test_trigger_tool_change":
                self._more_tools = _other(self._more_tools, "test_tool_that_comes_and_goes")
                await self.bus.publish(ToolsListChanged())
            case "test_trigger_prompt_change":
                self._more_prompts = _other(self._more_prompts, "test_prompt_that_comes_and_goes")
                await self.bus.publish(PromptsListChanged())
            case name if name in CONTENTS:
                return complete(content=CONTENTS[name])
            case name if name in TOOLS:
                question = wanted(name, context.params, _capabilities(context))
                if question is not None:
                    return question
                return complete(content=[text(str(context.params["inputResponses"]))])
        return complete(content=[text(f"{params.name} is done")])


def _other(now: list[str], name: str) -> list[str]:
    return [] if now else [name]


def _capabilities(context: Any) -> Mapping[str, Any]:
    declared: Mapping[str, Any] = (context.meta or {}).get(types.CLIENT_CAPABILITIES_META_KEY) or {}
    return declared


async def _log(context: Any, said: str) -> None:
    params = types.LoggingMessageNotificationParams(level="info", data=said)
    notification = types.LoggingMessageNotification(params=params)
    await context.session.send_notification(notification, related_request_id=context.request_id)


async def main() -> None:
    fixtures = Fixtures()
    server: Server[Any] = Server("fixtures", version="1", on_subscriptions_listen=ListenHandler(fixtures.bus))
    add = server.add_request_handler
    add("tools/list", types.PaginatedRequestParams, fixtures.list_tools)
    add("tools/call", types.CallToolRequestParams, fixtures.call)
    add("prompts/list", types.PaginatedRequestParams, fixtures.list_prompts)
    add("prompts/get", types.GetPromptRequestParams, fixtures.get_prompt)
    add("resources/list", types.PaginatedRequestParams, fixtures.list_resources)
    add("resources/read", types.ReadResourceRequestParams, fixtures.read)
    changes = NotificationOptions(tools_changed=True, prompts_changed=True, resources_changed=True)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options(changes))


if __name__ == "__main__":
    trio.run(main)
