"""`fetch`: what a tool asks an upstream for, and how the answer is read."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.profile.pages import Pages
from gateway.profile.section import Expression, Json, Name, Section, Template, expected
from gateway.profile.templates import TemplateSyntaxError, parse_template

WITH_CONTENT = ("POST", "PUT", "PATCH")  # elsewhere it has no meaning (RFC 9110, section 9.3)
"""The methods whose requests carry content."""


def _filled(value: Any) -> Any:
    """Refuse text in a JSON value that is no template."""
    match value:
        case dict():
            for child in value.values():
                _filled(child)
        case list():
            for child in value:
                _filled(child)
        case str():
            try:
                parse_template(value)
            except TemplateSyntaxError as error:
                what = 'JSON whose texts are templates such as "{name}"; a brace of its own is written twice'
                raise expected(what, detail=str(error)) from None
    return value


Filled = Annotated[Json, AfterValidator(_filled)]
"""A JSON value whose texts are templates."""


def _css(value: str) -> str:
    """Refuse what is no CSS selector."""
    from cssselect import HTMLTranslator, SelectorError  # only where HTML is read

    try:
        HTMLTranslator().css_to_xpath(value)
    except SelectorError as error:
        raise expected('a CSS selector such as "main article"', detail=str(error)) from None
    return value


Css = Annotated[str, Field(min_length=1), AfterValidator(_css)]
"""A CSS selector."""

ReadAs = Literal["json", "text", "xml", "html"]


class Html(Section):
    """`html`: what becomes of a document that is HTML; without it, it is text like any other."""

    select: Css = "body"
    """CSS selector of the parts to keep, in the document's order."""
    drop: tuple[Css, ...] = Field(default=(), strict=False)
    """CSS selectors of what to leave out of them; scripts and styles always are."""
    to: Literal["markdown", "text", "elements"] = "markdown"
    """`markdown` and `text`: one string. `elements`: for each part an object with `tag`, `attributes` and `text`."""


class Fetch(Section):
    """`fetch`: one document of an upstream."""

    upstream: Name
    """The name of an `[upstreams.NAME]`."""
    path: Template = ""
    """The document's path: each value is one path segment, encoded."""
    else_path: Template | None = None
    """Another path, for where there is no document at `path`: the file had another name in older releases."""
    version: Template | None = None
    """A release, a range or a dist-tag; `{version}` in `path` and `base_url` is then the resolved release."""
    releases: bool = False
    """The document is the list of the upstream's releases: `{"tags": {…}, "versions": […]}`, newest first."""
    when: Expression | None = None
    """JMESPath over the arguments; where it gives nothing, the document is not asked for, and is null."""
    optional: bool = False
    """Where there is no such document or release, it is null; without this, the call says that it is missing."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """The request's method. Answers to a POST are cached too, where the tool is read-only."""
    query: dict[str, Template] = {}
    """Query parameters; a value stays one value. One that is just `{name}` is left out without that argument, and
    repeated for an array."""
    headers: dict[str, Template] = {}
    """Request headers; a value with a line break is refused."""
    body: Filled = None
    """Content as JSON. Text that is just `{name}` becomes that argument's value; a member without it is left out."""
    form: dict[str, Template] = {}
    """Content as a form (`application/x-www-form-urlencoded`), filled in like `query`."""
    idempotent: bool | None = None
    """Whether a failed request may be sent again; by default GET, PUT and DELETE may (RFC 9110, section 9.2.2)."""
    batch_key: Template | None = None
    """Asks for one of many: requests that differ only in this go as one, as `batch` of the upstream says."""
    read_as: ReadAs | None = None
    """What the answer is, where its Content-Type is missing or wrong; wins over `read_as` of the upstream."""
    html: Html | None = None
    """What becomes of HTML."""
    pages: Pages | None = None
    """The answer comes in pages; the document is `items` of all of them."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if "path" not in self.model_fields_set and not self.releases:
            raise expected("the key path, or releases = true", found="neither")
        return self

    @model_validator(mode="after")
    def _content_has_a_meaning(self) -> Self:
        if self.body is not None and self.form:
            raise expected("either `body` (JSON) or `form`", found="both")
        if (self.body is not None or self.form) and self.method not in WITH_CONTENT:
            raise expected('method = "POST", "PUT" or "PATCH" for a request with content', found=self.method)
        if self.pages is not None and self.batch_key is not None:
            raise expected("either `pages` (many answers for one request) or `batch_key`", found="both")
        if self.html is not None and self.read_as not in (None, "html"):
            raise expected('read_as = "html", or none, beside `html`', found=self.read_as)
        return self

    @property
    def said(self) -> frozenset[str]:
        """The keys that say something: more than their defaults."""
        known = type(self).model_fields
        return frozenset(key for key, field in known.items() if getattr(self, key) != field.get_default())


def texts(value: Any) -> list[str]:
    """Every text in a JSON value; its objects' keys are none."""
    match value:
        case dict():
            return [text for child in value.values() for text in texts(child)]
        case list():
            return [text for child in value for text in texts(child)]
        case str():
            return [value]
        case _:
            return []
