"""An address that is told of alerts."""

from __future__ import annotations

import re

import httpx2

from gateway.errors import UpstreamError
from gateway.profile.alerts import Webhook
from gateway.profile.upstreams.policies import Breaker, Politeness
from gateway.upstream.client import Client, Outgoing
from gateway.watch.alerts.model import Change
from gateway.watch.alerts.notifying import NotTold, message

_ADDRESS = re.compile(r"https?://\S+")


class WebhookNotifier:
    """Posts each change as JSON; `client` is one that may try again."""

    key = "notifications.webhook"

    def __init__(self, section: Webhook, client: Client, gateway: str) -> None:
        self._url = httpx2.URL(section.url)
        self._headers = (("Content-Type", "application/json"), *section.headers.items())
        self._client = client
        self._gateway = gateway

    async def tell(self, change: Change) -> None:
        """Post it. Raises NotTold, which says nothing of the address but its host: often it is a secret itself."""
        body = message(change, self._gateway)
        try:
            await self._client.send(Outgoing("POST", self._url, self._headers, body), idempotent=True)
        except UpstreamError as error:
            said = _ADDRESS.sub(self._url.host, error.message).replace(f"upstreams.{self.key}", self.key)
            raise NotTold(f"{self._url.host} did not take it: {said}") from None


def politeness_of(section: Webhook) -> Politeness:
    """How stubbornly a webhook is asked: it may stand in a private network, since the operator names it."""
    about = {
        "timeout": section.timeout,
        "retries": section.retries,
        "breaker": Breaker(enabled=False),  # each alert is worth its own tries
        "private_addresses": True,
    }
    return Politeness().model_copy(update=about)  # the values are read already: no text of a profile any more
