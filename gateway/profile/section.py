"""What every table of a profile has in common: frozen, closed to unknown keys, documented key by key."""

from __future__ import annotations

from typing import Annotated, Any

import jmespath
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.profile.templates import TemplateSyntaxError, parse_template


class Section(BaseModel):
    """One table of a profile. Unknown keys are faults; values can't be changed after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def expected(what: str, **more: Any) -> PydanticCustomError:
    """The error of a field validator: `what` completes the sentence "expected …"."""
    return PydanticCustomError("expected", "expected {expected}", {"expected": what, **more})


def _template(value: str) -> str:
    try:
        parse_template(value)
    except TemplateSyntaxError as error:
        raise expected(f"a template such as 'docs/{{name}}.md': {error}") from None
    return value


def _expression(value: str) -> str:
    try:
        jmespath.compile(value)
    except Exception as error:  # jmespath raises several unrelated classes, all about the expression
        reason = str(error).splitlines()[0]
        raise expected(f"a JMESPath expression: {reason}") from None
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""The name of a tool, upstream or strategy: letters, digits, `_`, `-`, `.`; at most 64."""

Template = Annotated[str, AfterValidator(_template)]
"""Text with `{name}` where an argument's value goes; `{{` and `}}` stand for braces."""

Expression = Annotated[str, StringConstraints(min_length=1), AfterValidator(_expression)]
"""A JMESPath expression."""
