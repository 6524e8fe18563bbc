from __future__ import annotations

import json

import pytest
import trio

from gateway.profile.alerts import Webhook
from gateway.upstream.client import open_client
from gateway.watch.alerts.notifying import NotTold, message
from gateway.watch.alerts.webhook import WebhookNotifier, politeness_of
from tests.fakes.http_server import HttpServer, answer, silent
from tests.watch.alerts.rig import change

BUSY = answer(status="503 Service Unavailable")


@pytest.fixture
async def server(nursery: trio.Nursery) -> HttpServer:
    """A server on 127.0.0.1, which is a private address: an operator names it, so it is asked."""
    server = HttpServer()
    await nursery.start(server.serve)
    return server


async def tell(server: HttpServer, times: int = 1, **more: object) -> None:
    section = Webhook.model_validate({"url": f"{server.url}/alerts?to=me", **more})
    politeness = politeness_of(section).model_copy(update={"retry_delay": 0.01})
    async with open_client(WebhookNotifier.key, politeness) as client:
        for _ in range(times):
            await WebhookNotifier(section, client, "varlet").tell(change())


async def test_a_change_is_posted_as_json(server: HttpServer) -> None:
    """With the headers that the profile names."""
    server.on("/alerts?to=me", answer(status="204 No Content"))
    await tell(server, headers={"Authorization": "Bearer x"})
    (request,) = server.requests
    assert (request.method, json.loads(request.body)) == ("POST", json.loads(message(change(), "varlet")))
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer x"


async def test_it_is_tried_again(server: HttpServer) -> None:
    """Though it is a POST: twice told is better than not at all."""
    server.on("/alerts?to=me", BUSY, BUSY, answer(b"ok", "text/plain"))
    await tell(server)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("script", "tries"),
    [(BUSY, 3), (answer(status="400 Bad Request"), 1), (answer(status="302 Found", headers={"Location": "/"}), 1)],
)
async def test_it_is_given_up(server: HttpServer, script: bytes, tries: int) -> None:
    """After as many tries as the profile says, or at once where trying again is no use; nobody is led elsewhere."""
    server.on("/alerts?to=me", script)
    with pytest.raises(NotTold) as caught:
        await tell(server, retries=2)
    assert "alerts" not in str(caught.value), "the address is a secret: only its host is told"
    assert "127.0.0.1 did not take it" in str(caught.value)
    assert server.targets() == ["/alerts?to=me"] * tries


async def test_who_does_not_answer_is_given_up_in_time(server: HttpServer) -> None:
    """All tries together take no longer than `timeout`."""
    server.on("/alerts?to=me", silent)
    with trio.fail_after(20), pytest.raises(NotTold, match=r"\(notifications\.webhook\.timeout\)"):
        await tell(server, timeout="200ms")


async def test_failures_of_one_alert_do_not_keep_back_the_next(server: HttpServer) -> None:
    """No breaker stands before a webhook: ten that failed, and the eleventh is sent all the same."""
    server.on("/alerts?to=me", *[BUSY] * 10, answer())
    section = Webhook.model_validate({"url": f"{server.url}/alerts?to=me", "retries": 0})
    async with open_client(WebhookNotifier.key, politeness_of(section)) as client:
        notifier = WebhookNotifier(section, client, "varlet")
        for _ in range(10):
            with pytest.raises(NotTold):
                await notifier.tell(change())
        await notifier.tell(change())
    assert len(server.requests) == 11
