"""What every table of a profile has in common: frozen, closed to unknown keys, documented key by key."""

from __future__ import annotations

import datetime
import math
import re
from typing import Annotated, Any, Self

import jmespath
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.profile.templates import TemplateSyntaxError, parse_template


class Section(BaseModel):
    """One table of a profile. Unknown keys are faults; values can't be changed after loading.

    What stands below a key is its documentation (`gateway.profile.documentation`). Modules with sections do without
    `from __future__ import annotations`: pydantic would have to evaluate every annotation, at every start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    @classmethod
    def unset(cls) -> Self:
        """The table of which nothing is set. There is nothing to check, so no validator is built: that takes long."""
        return super().model_construct()


def expected(
    what: str, *, found: str | None = None, detail: str | None = None, suggestion: str | None = None
) -> PydanticCustomError:
    """The error of a field validator: `what` completes the sentence "expected …".

    `found` stands for the value where that says too little; `detail` is what may quote the value (it is
    left out where the value may be a secret); `suggestion` is what was probably meant, as TOML.
    """
    more = {"found": found, "detail": detail, "suggestion": suggestion}
    context = {"expected": what, **{key: text for key, text in more.items() if text is not None}}
    return PydanticCustomError("expected", "expected {expected}", context)


def matching(pattern: str, what: str) -> tuple[AfterValidator, WithJsonSchema]:
    """For `Annotated[str, *matching(…)]`: text that is wholly `pattern`; a fault says "expected `what`"."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise expected(what)
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


def _template(value: str) -> str:
    try:
        parse_template(value)
    except TemplateSyntaxError as error:
        raise expected('a template such as "docs/{name}.md"', detail=str(error)) from None
    return value


def _expression(value: str) -> str:
    try:
        jmespath.compile(value)
    except Exception as error:  # jmespath raises several unrelated classes, all about the expression
        reason = str(error).partition("\n")[0].removeprefix("Invalid jmespath expression: ").rstrip(":. ")
        raise expected("a JMESPath expression", detail=reason[:1].lower() + reason[1:]) from None
    return value


def _json(value: Any) -> Any:
    """Refuse what TOML can say and JSON can't: dates, times, infinity and not-a-number."""
    match value:
        case dict():
            for child in value.values():
                _json(child)
        case list():
            for child in value:
                _json(child)
        case datetime.date() | datetime.time():  # a datetime is a date
            raise expected("a JSON value; put dates and times in quotes", found=value.isoformat())
        case float() if not math.isfinite(value):
            raise expected("a JSON value", found=str(value))
    return value


Name = Annotated[
    str,
    *matching(
        "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
        'a name of letters, digits, "_", "-" and ".", that begins with a letter or digit, at most 64 characters',
    ),
]
"""The name of a tool, upstream or strategy: letters, digits, `_`, `-`, `.`; at most 64."""

Template = Annotated[str, AfterValidator(_template)]
"""Text with `{name}` where an argument's value goes; `{{` and `}}` stand for braces."""

Expression = Annotated[str, StringConstraints(min_length=1), AfterValidator(_expression)]
"""A JMESPath expression."""

Json = Annotated[Any, AfterValidator(_json)]
"""Any value that JSON has too."""
