"""Reloading the profile by HTTP."""

from __future__ import annotations

from quart import Blueprint
from quart_schema import document_response, validate_response

from gateway.serving.admin.models import Problem, Shape
from gateway.serving.reloading import Reloaded, Reloader


class ChangedKey(Shape):
    """One key that differs; values as TOML, null where it is not set."""

    key: str
    before: str | None
    after: str | None


class ReloadAnswer(Shape):
    """How the last reload went."""

    at: float | None
    """When it was, in seconds since the epoch; null before the first."""
    asked_by: str | None
    error: str | None
    """Why what was loaded before goes on; null where the profile as it was then is in force."""
    changes: list[ChangedKey]
    restart: list[str]
    """Keys that differ and take effect at a restart only."""


def reload_routes(reloader: Reloader | None) -> Blueprint:
    """`/api/reload`."""
    routes = Blueprint("reload", __name__, url_prefix="/api")

    @routes.post("/reload")
    @validate_response(ReloadAnswer)
    @document_response(Problem, 409)
    async def reload() -> ReloadAnswer | tuple[dict[str, str], int]:
        """Read the profile's files again and let what they say take effect, without a request being dropped.

        409 where it can't be used: then nothing has changed, and the answer says why.
        """
        if reloader is None:
            return {"error": "this gateway was opened for one command and has nothing to reload"}, 409
        reloaded = await reloader.reload("the admin API")
        if reloaded.error is not None:
            return {"error": reloaded.error}, 409
        return _shape(reloaded)

    @routes.get("/reload")
    @validate_response(ReloadAnswer)
    async def last() -> ReloadAnswer:
        """How the last reload went, whoever asked for it."""
        return _shape(reloader.last if reloader is not None else None)

    return routes


def _shape(reloaded: Reloaded | None) -> ReloadAnswer:
    if reloaded is None:
        return ReloadAnswer(at=None, asked_by=None, error=None, changes=[], restart=[])
    changes = [ChangedKey(key=each.key, before=each.before, after=each.after) for each in reloaded.changes]
    return ReloadAnswer(
        at=reloaded.at,
        asked_by=reloaded.asked_by,
        error=reloaded.error,
        changes=changes,
        restart=list(reloaded.restart),
    )
