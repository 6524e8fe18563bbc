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
        """Whether new requests are welcome: 200 while they are, 503 while the gateway warms up or drains."""
        status = "draining" if stop.is_set() else "ready" if gateway.ready else "warming"
        about: dict[str, object] = {
            "status": status,
            "tools": len(gateway.catalogue.tools),
            "tiers": list(gateway.tiers),
        }
        return about, 200 if status == "ready" else 503

    return site
