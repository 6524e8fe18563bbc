"""The dashboard's page and what belongs to it: a few files of the package, under a strict policy."""

from __future__ import annotations

from pathlib import Path

from quart import Blueprint, Response
from quart_schema import hide

from gateway.serving.hosts import GUARDS

_FILES = {
    "/": ("dashboard.html", "text/html"),
    "/dashboard.css": ("dashboard.css", "text/css"),
    "/dashboard.js": ("dashboard.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/cache.js": ("cache.js", "text/javascript"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from any other host, nothing inline (W3C, Content Security Policy Level 3)."""


def page_routes() -> Blueprint:
    """The dashboard at `/`."""
    routes = Blueprint("pages", __name__)
    folder = Path(__file__).parent / "static"

    def serving(address: str, name: str, mimetype: str) -> None:
        content = (folder / name).read_bytes()

        @routes.get(address, endpoint=name.replace(".", "_"))
        @hide
        async def page() -> Response:
            response = Response(content, mimetype=mimetype)
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Cache-Control"] = "no-cache"
            return response

    for address, (name, mimetype) in _FILES.items():
        serving(address, name, mimetype)

    @routes.after_app_request
    async def guarded(response: Response) -> Response:
        for header, value in GUARDS.items():
            response.headers.setdefault(header, value)
        return response

    return routes
