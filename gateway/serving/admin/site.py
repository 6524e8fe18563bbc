"""The admin site as a Quart application on Trio."""

from __future__ import annotations

import trio
from quart_trio import QuartTrio

from gateway import __version__
from gateway.assembly import Gateway


def build_site(gateway: Gateway, stop: trio.Event) -> QuartTrio:
    """The site of `gateway`; it is not ready any more once `stop` is set."""
    site = QuartTrio("gateway.serving.admin")

    @site.get("/healthz")
    async def health() -> dict[str, object]:
        """The process lives and its event loop turns."""
        return {"status": "ok", "version": __version__}

    @site.get("/readyz")
    async def readiness() -> tuple[dict[str, object], int]:
        """Whether new requests are welcome: 200 while they are, 503 while the gateway drains."""
        ready = not stop.is_set()
        about: dict[str, object] = {
            "status": "ready" if ready else "draining",
            "tools": len(gateway.catalogue.tools),
            "tiers": list(gateway.tiers),
        }
        return about, 200 if ready else 503

    return site
