"""Declared prompts: messages with a user's arguments in them, and resources that are embedded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.catalogue.calls import ToolCalls
from gateway.catalogue.completion import Completion, completed
from gateway.catalogue.federated import Asking
from gateway.catalogue.template import Template, path_template, text_template
from gateway.catalogue.tool import Tool
from gateway.errors import ToolError, UnknownResource
from gateway.printable import printable
from gateway.profile.faults import did_you_mean, listed, shown
from gateway.profile.offers import Message as MessageSection
from gateway.profile.offers import Prompt as PromptSection

Read = Callable[[str, Asking], Awaitable[Mapping[str, Any]]]
"""Reads a resource of this gateway by its URI."""

_LONGEST = 20_000
"""Characters of an argument's value."""


class _Message:
    def __init__(self, section: MessageSection) -> None:
        self.role = section.role
        self.when = section.when
        self.text: Template | None = text_template(section.text) if section.text is not None else None
        self.resource: Template | None = path_template(section.resource) if section.resource is not None else None


class _Prompt:
    def __init__(self, name: str, section: PromptSection, tools: Mapping[str, Tool], calls: ToolCalls) -> None:
        self.name = name
        self.section = section
        self.messages = [_Message(message) for message in section.messages]
        self.completions = {
            argument: Completion(f"prompts.{name}.arguments.{argument}.complete", each.complete, tools, calls)
            for argument, each in section.arguments.items()
            if each.complete is not None
        }
        self.definition = _definition(name, section)

    def values(self, given: Mapping[str, Any]) -> dict[str, str]:
        """What is given, with defaults; raises ToolError with what is wrong with it."""
        known = self.section.arguments
        for name, value in given.items():
            if name not in known:
                near = did_you_mean(name, known)
                takes = listed(known) if known else "no arguments"
                meant = f" Did you mean {near}?" if near else ""
                raise ToolError(f"The prompt {self.name} takes {takes}, not {shown(printable(name, 40))}.{meant}")
            if not isinstance(value, str) or len(value) > _LONGEST:
                raise ToolError(f"{name}: expected a text of at most {_LONGEST} characters")
        missing = [name for name, about in known.items() if about.required and not given.get(name)]
        if missing:
            raise ToolError(f"The prompt {self.name} needs {listed(missing, last='and')}.")
        return {name: given.get(name) or about.default for name, about in known.items()}


class Prompts:
    """The declared prompts, by name."""

    def __init__(
        self, sections: Mapping[str, PromptSection], tools: Mapping[str, Tool], calls: ToolCalls, read: Read
    ) -> None:
        self._prompts = {name: _Prompt(name, section, tools, calls) for name, section in sections.items()}
        self._read = read
        self.names = frozenset(self._prompts)
        """What they are called."""
        self.definitions = tuple(prompt.definition for prompt in self._prompts.values())
        """As `prompts/list` shows them."""
        self.completes = any(prompt.completions for prompt in self._prompts.values())
        """Whether any argument has values."""

    async def fill(self, name: str, given: Mapping[str, Any], asking: Asking) -> dict[str, Any]:
        """The GetPromptResult of a declared prompt.

        Raises ToolError for arguments that it can't be made of, also for a resource that there is not, and
        UpstreamError.
        """
        prompt = self._prompts[name]
        values = prompt.values(given)
        messages = [
            {"role": message.role, "content": await self._content(message, values, asking)}
            for message in prompt.messages
            if message.when is None or values[message.when]
        ]
        about = {"description": prompt.section.description} if prompt.section.description else {}
        return {**about, "messages": messages}

    async def complete(self, ref: Mapping[str, Any], rest: Mapping[str, Any], caller: str) -> dict[str, Any] | None:
        """What may stand for an argument; None where the prompt is none of the profile's."""
        prompt = self._prompts.get(ref.get("name", ""))
        return None if prompt is None else await completed(prompt.completions, rest, caller)

    async def _content(self, message: _Message, values: Mapping[str, str], asking: Asking) -> dict[str, Any]:
        if message.resource is None:
            return {"type": "text", "text": message.text.fill(values) if message.text is not None else ""}
        uri = message.resource.fill(values)
        try:
            result = await self._read(uri, asking)
        except UnknownResource as error:
            raise ToolError(str(error)) from error
        return {"type": "resource", "resource": result["contents"][0]}


def _definition(name: str, section: PromptSection) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": name}
    if section.title:
        definition["title"] = section.title
    if section.description:
        definition["description"] = section.description
    arguments = []
    for argument, about in section.arguments.items():
        each: dict[str, Any] = {"name": argument, "required": about.required}
        each |= {"title": about.title} if about.title else {}
        each |= {"description": about.description} if about.description else {}
        arguments.append(each)
    return {**definition, "arguments": arguments} if arguments else definition
