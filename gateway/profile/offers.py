"""`[resources.NAME]` and `[prompts.NAME]`: what clients read by a URI, and what their users start from."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.profile.fetch import Filled
from gateway.profile.section import Expression, Name, Section, Template, expected, matching
from gateway.profile.templates import fields

_SEGMENT = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@%-]+|\{[A-Za-z_][A-Za-z0-9_-]*\})"
Uri = Annotated[
    str,
    *matching(
        rf"[a-z][a-z0-9+.-]*://{_SEGMENT}(?:/{_SEGMENT})*",
        'a URI such as "library://components/{name}", in which a field is a whole segment, and not the scheme',
    ),
]
"""A URI without query and fragment (RFC 3986); with fields, a URI template (RFC 6570, level 1)."""

MediaType = Annotated[str, *matching(r"[a-z]+/[a-z0-9.+-]+", 'a media type such as "text/markdown"')]


class Completion(Section):
    """`complete`: the values that may stand for an argument, offered while it is typed."""

    values: tuple[str, ...] = Field(default=(), strict=False)
    """The values, where they are always the same."""
    tool: Name | None = None
    """The `[tools.NAME]` whose answer has the values."""
    arguments: dict[str, Filled] = {}
    """Its arguments; a text in them is a template over what the client has filled in already."""
    select: Expression | None = None
    """JMESPath from its structured content to an array of texts."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.values) == (self.tool is not None):
            raise expected("either `values`, or `tool` and `select`", found="both" if self.values else "neither")
        if (self.tool is None) != (self.select is None):
            raise expected("`tool` and `select`", found="one of them")
        return self


class Resource(Section):
    """One resource, or with fields in its URI a template of resources: the answer of a tool under a name of its own."""

    uri: Uri
    """`library://components`, or with fields `library://components/{name}`."""
    title: str = ""
    """A name for people."""
    description: str = ""
    """What it holds."""
    mime_type: MediaType | None = None
    """What it is: JSON gives structured content, anything else the text; by default what the tool gives."""
    tool: Name
    """The `[tools.NAME]` that makes it."""
    arguments: dict[str, Filled] = {}
    """Its arguments; a text in them is a template over the fields. A field is the argument of its name anyway."""
    complete: dict[str, Completion] = {}
    """By field, the values it may have."""

    @property
    def fields(self) -> frozenset[str]:
        """The names of the URI's fields; none for a resource that is one."""
        return fields(self.uri)


class PromptArgument(Section):
    """`arguments.NAME`: what the user is asked for."""

    title: str = ""
    """A name for people."""
    description: str = ""
    """What it is."""
    required: bool = False
    """Whether it must be given."""
    default: str = ""
    """What stands for it where it is not."""
    complete: Completion | None = None
    """The values it may have."""


class Message(Section):
    """`[[prompts.NAME.messages]]`: one message of a prompt: a text, or a resource that is embedded."""

    role: Annotated[str, *matching("user|assistant", '"user" or "assistant"')] = "user"
    """Who says it: "user" or "assistant"."""
    when: str | None = None
    """Only where this argument is given."""
    text: Template | None = None
    """The text, a template over the arguments."""
    resource: Template | None = None
    """The URI of a resource of this gateway; an argument is one segment of it."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.text is None) == (self.resource is None):
            raise expected("either `text` or `resource`", found="neither" if self.text is None else "both")
        return self


class Prompt(Section):
    """One prompt: messages that a user starts from."""

    title: str = ""
    """A name for people."""
    description: str = ""
    """What it is for."""
    arguments: dict[Name, PromptArgument] = {}
    """What the user is asked for, by name."""
    messages: Annotated[tuple[Message, ...], Field(min_length=1, strict=False)]
    """The messages, in order."""
