"""`batch`: how several requests go as one, and how its answer is taken apart."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.profile.section import Expression, Section, expected
from gateway.profile.units import Duration


class Batch(Section):
    """`batch`: requests with a `batch_key` that wait for each other, to go as one."""

    window: Duration = 0.05
    """How long the first request waits for others."""
    max: Annotated[int, Field(ge=1)] = 50
    """Most requests in one batch; a full one goes at once."""
    place: Literal["query", "body"] = "query"
    """Where the keys stand: in a query parameter, or as an array in the JSON body."""
    parameter: str = ""
    """The parameter's name, or the member's of the body; without it, the array is the whole body."""
    separator: str = ""
    """What stands between the keys in the parameter, such as `,`; without it, the parameter is repeated."""
    items: Expression = "@"
    """JMESPath from the answer to the array of its items, or to an object of items by key."""
    key: Expression | None = None
    """JMESPath from an item of an array to its key."""
    error: Expression | None = None
    """JMESPath from an item to what is wrong with it, where that is said for each; null is nothing."""

    @model_validator(mode="after")
    def _keys_have_a_place(self) -> Self:
        if self.place == "query" and not self.parameter:
            raise expected("the key parameter: the name of the query parameter that takes the keys", found="none")
        if self.place == "body" and self.separator:
            raise expected("no separator: in a body the keys are an array", found="one")
        return self
