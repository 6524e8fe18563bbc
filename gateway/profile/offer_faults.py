"""Resources and prompts: what their names lead to, and whether a tool can be asked for them so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.profile.faults import Finding, did_you_mean, listed, shown
from gateway.profile.fetch import texts
from gateway.profile.known import argument_faults, template_faults, unknown
from gateway.profile.offers import Completion, Message, Prompt, Resource
from gateway.profile.positions import KeyPath
from gateway.profile.profile import Profile
from gateway.profile.templates import fields
from gateway.profile.tools import Tool


def offer_faults(profile: Profile, tools: frozenset[str]) -> Iterator[Finding]:
    """What is wrong with the resources and prompts; `tools` are all names of tools, also of those that are faulty."""
    shapes: dict[str, str] = {}
    for name, resource in profile.resources.items():
        path: KeyPath = ("resources", name)
        shape = shape_of(resource.uri)
        if shape in shapes:
            yield Finding((*path, "uri"), f"a URI that is not resources.{shapes[shape]}'s too", shown(resource.uri))
        shapes.setdefault(shape, name)
        yield from _resource(path, resource, profile, tools)
    for name, prompt in profile.prompts.items():
        yield from _prompt(("prompts", name), prompt, profile, tools)


def shape_of(uri: str) -> str:
    """The URI without the names of its fields: two of the same shape mean the same resources."""
    return "/".join("{}" if fields(segment) else segment for segment in uri.split("/"))


def _resource(path: KeyPath, resource: Resource, profile: Profile, tools: frozenset[str]) -> Iterator[Finding]:
    yield from unknown((*path, "tool"), resource.tool, tools, "tools")
    yield from _arguments(path, resource.arguments, resource.fields, profile.tools.get(resource.tool), resource.tool)
    tool = profile.tools.get(resource.tool)
    for field in sorted(resource.fields - resource.arguments.keys()):
        if tool is not None and field not in tool.arguments and not _used(resource.arguments, field):
            what = f"a field that is an argument of {resource.tool}, or stands in arguments"
            near = did_you_mean(field, tool.arguments)
            yield Finding((*path, "uri"), what, f"{{{field}}}", f"{{{near}}}" if near else None)
    if tool is not None and not tool.annotations.read_only:
        yield Finding((*path, "tool"), "a tool that only reads", shown(resource.tool))
    for field, completion in resource.complete.items():
        yield from argument_faults((*path, "complete", field), field, resource.fields, at_key=True)
        yield from _completion((*path, "complete", field), completion, resource.fields, profile, tools)


def _prompt(path: KeyPath, prompt: Prompt, profile: Profile, tools: frozenset[str]) -> Iterator[Finding]:
    known = frozenset(prompt.arguments)
    for name, argument in prompt.arguments.items():
        if argument.required and argument.default:
            yield Finding((*path, "arguments", name, "default"), "no default of an argument that must be given")
        if argument.complete is not None:
            yield from _completion((*path, "arguments", name, "complete"), argument.complete, known, profile, tools)
    for index, message in enumerate(prompt.messages):
        at = (*path, "messages", index)
        if message.when is not None:
            yield from argument_faults((*at, "when"), message.when, known)
        for key in ("text", "resource"):
            template = getattr(message, key)
            yield from template_faults((*at, key), template, known) if template is not None else ()
        yield from _embedded(at, message, prompt, profile)


def _embedded(path: KeyPath, message: Message, prompt: Prompt, profile: Profile) -> Iterator[Finding]:
    """A resource that nobody declares, or one whose URI is not whole where an argument is not given."""
    if message.resource is None:
        return
    uris = {shape_of(resource.uri) for resource in profile.resources.values()}
    if not any(_fits(shape_of(message.resource), uri) for uri in uris):
        known = sorted(resource.uri for resource in profile.resources.values())
        near = did_you_mean(message.resource, known)
        what = f"the URI of one of [resources]: {listed(known)}" if known else "the URI of one of [resources]"
        yield Finding((*path, "resource"), what, suggestion=near and shown(near))
    for name in sorted(fields(message.resource) & prompt.arguments.keys()):
        argument = prompt.arguments[name]
        if not (argument.required or argument.default or message.when == name):
            what = f"an argument that is required, has a default, or is named in when: {name} may be empty"
            yield Finding((*path, "resource"), what, f"{{{name}}}")


def _fits(asked: str, uri: str) -> bool:
    """Whether a URI of the shape `asked` may be one of the shape `uri`."""
    one, other = asked.split("/"), uri.split("/")
    return len(one) == len(other) and all(a == b or "{}" in (a, b) for a, b in zip(one, other, strict=True))


def _completion(
    path: KeyPath, completion: Completion, known: frozenset[str], profile: Profile, tools: frozenset[str]
) -> Iterator[Finding]:
    if completion.tool is not None:
        yield from unknown((*path, "tool"), completion.tool, tools, "tools")
        tool = profile.tools.get(completion.tool)
        yield from _arguments(path, completion.arguments, known, tool, completion.tool)


def _arguments(
    path: KeyPath, arguments: dict[str, Any], known: frozenset[str], tool: Tool | None, name: str
) -> Iterator[Finding]:
    """Arguments that the tool does not take, and templates in them over values that there are not."""
    takes = tool.arguments if tool is not None else frozenset(arguments)
    for argument in sorted(arguments.keys() - takes):
        near = did_you_mean(argument, takes)
        what = f"one of the arguments of {name}: {listed(sorted(takes))}" if takes else f"no arguments: {name} has none"
        yield Finding((*path, "arguments", argument), what, shown(argument), near and shown(near), at="key")
    for argument, value in arguments.items():
        for text in dict.fromkeys(texts(value)):
            yield from template_faults((*path, "arguments", argument), text, known)


def _used(arguments: dict[str, Any], field: str) -> bool:
    return any(field in fields(text) for text in texts(arguments))
