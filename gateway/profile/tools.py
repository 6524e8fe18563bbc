"""`[tools.NAME]` and `[warm]`: what agents can call, and what is called ahead of them."""

from typing import Annotated, Any, Literal, Self

import jsonschema_rs
from pydantic import AfterValidator, Field, model_validator

from gateway.profile.fetch import Fetch
from gateway.profile.section import Expression, Json, Name, Section, Template, expected, matching
from gateway.profile.units import Duration, Size


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse a JSON Schema that does not compile; `type` is "object" unless it says so itself."""
    schema = {"type": "object", **value}
    if schema["type"] != "object":
        raise expected('a JSON Schema whose type is "object"')
    try:
        jsonschema_rs.validator_for(schema, offline=True)  # or a `$ref` would be fetched over the network
    except Exception as error:  # ValidationError, ReferencingError, ValueError: all about the schema
        raise expected("a JSON Schema", detail=str(error).partition("\n")[0]) from None
    return schema


ObjectSchema = Annotated[dict[str, Json], AfterValidator(_schema)]
"""A JSON Schema of an object, written in TOML."""


class Nearest(Section):
    """`nearest`: the names to suggest when nothing was found, as `{nearest}` in `missing`."""

    fetch: Fetch | None = None
    """The document that lists the names, fetched only when it is needed; without it, the tool's own document."""
    of: Expression
    """JMESPath from that document to an array of the names there are."""
    to: str
    """The argument that was meant to be one of them."""
    max: Annotated[int, Field(ge=1, le=50)] = 5
    """Most names to suggest."""


Argument = Annotated[str, *matching("[A-Za-z_][A-Za-z0-9_-]*", "a plain name, since templates hold it in braces")]
"""The name of an argument, or of a value like one."""

Way = Annotated[str, *matching(r"[^.]+(\.[^.]+)*", 'the way to an array, such as "components" or "a.b"')]
"""The names of members on the way to a value."""


class Result(Section):
    """`result`: from the fetched document to the tool's answer."""

    select: Expression = "@"
    """JMESPath over the document, with `arg('name')`; over an object of documents where there are `fetches`."""
    format: Literal["json", "text"] = "json"
    """`json`: structured content and its text. `text`: the selected string as it is."""
    text: Template | None = None
    """The text of the answer, made of the members of what was selected: `# {name}`. What is no object is `{result}`."""
    each: dict[str, Template] = {}
    """Per array in `text`, the line for each of its elements: `- {name}: {type}`. What is no object is `{value}`."""
    max_output: Annotated[Size, Field(ge=1000)] | None = None
    """Largest text of an answer; the rest comes by a cursor. Without it, `server.max_output`."""
    pages_of: tuple[Way, ...] = Field(default=(), strict=False)
    """The arrays that are shared out where the answer is too large: `["a.b"]`; by default all that `output` has."""
    missing: Template | None = None
    """What to say when `select` finds nothing (null); may hold arguments, `{version}` and `{nearest}`."""
    nearest: Nearest | None = None
    """Which names to suggest when nothing was found."""


class Annotations(Section):
    """`annotations`: MCP's hints to clients. Only tools that are read-only are cached."""

    read_only: bool = True
    """The tool changes nothing."""
    idempotent: bool = True
    """Calling it again with the same arguments changes nothing more."""
    destructive: bool = False
    """It may delete or overwrite."""
    open_world: bool = True
    """It speaks to something outside."""


class Tool(Section):
    """One tool: what it takes, what it reads, what it answers."""

    defaults: tuple[Name, ...] = Field(default=(), strict=False)
    """The `[tool_defaults.NAME]` that this tool starts from; of two, the later one wins."""
    title: str = ""
    """A name for people."""
    annotations: Annotations = Annotations.unset()
    """What calling the tool does to the world."""
    description: Annotated[str, Field(min_length=1)]
    """Tells a model when to use the tool."""
    strategy: Name
    """The name of a `[strategies.NAME]`."""
    tags: tuple[Template, ...] = Field(default=(), strict=False)
    """What the answer is about, for purging: `component:{name}`."""
    invalidates: tuple[Template, ...] = Field(default=(), strict=False)
    """The tags that a successful call makes untrue: they are purged. For tools that are not read-only."""
    input: ObjectSchema = {"type": "object", "properties": {}}
    """JSON Schema of the arguments; `default`s are filled in, and other arguments are refused."""
    output: ObjectSchema | None = None
    """JSON Schema of the structured content."""
    normalize: dict[str, Expression] = {}
    """Per argument, JMESPath over the arguments to the spelling that is looked up and cached."""
    derive: dict[Argument, Expression] = {}
    """More values for templates and `arg()`, by name: JMESPath over the normalised arguments."""
    fetch: Fetch | None = None
    """The document that the answer is made of."""
    fetches: dict[Name, Fetch] = {}
    """Several documents, by name; they are fetched in parallel."""
    result: Result = Result.unset()
    """From the documents to the answer."""

    @model_validator(mode="after")
    def _reads_something(self) -> Self:
        if self.fetch is not None and self.fetches:
            raise expected("either `fetch` (one document) or `fetches` (several, by name)", found="both")
        if not self.documents and self.result.select == Result.model_fields["select"].default:
            what = "`fetch`, `fetches`, or a `result.select` that makes the answer of the arguments alone"
            raise expected(what, found="none")
        return self

    @property
    def arguments(self) -> frozenset[str]:
        """The names of the arguments that the tool declares."""
        declared = self.input.get("properties", {})
        return frozenset(declared) if isinstance(declared, dict) else frozenset()

    @property
    def documents(self) -> dict[str, Fetch]:
        """Every fetch by name; the only one of `fetch` is called "document"."""
        return {"document": self.fetch} if self.fetch is not None else self.fetches


class WarmCall(Section):
    """One `[[warm.calls]]`: a tool to call ahead, once for every combination of `each`."""

    tool: Name
    """The name of a `[tools.NAME]`."""
    arguments: dict[str, Json] = {}
    """Arguments that stay the same."""
    each: dict[str, list[Json]] = {}
    """Arguments that take each of these values."""


class Warm(Section):
    """`[warm]`: calls made ahead, so that the first question is answered from the cache."""

    on_start: bool = False
    """Whether to make the calls when the gateway starts."""
    after_purge: bool = False
    """Whether to make them again after a purge: an operator's, or that of a tool that `invalidates` something."""
    interval: Annotated[Duration, Field(gt=0)] | None = None
    """How often to make them again; without it, never. What stays fresh until the next time is left as it is."""
    concurrency: Annotated[int, Field(ge=1)] = 4
    """Most calls at once."""
    calls: tuple[WarmCall, ...] = Field(default=(), strict=False)
    """The calls, each a `[[warm.calls]]`."""
