"""The watchdog: systemd hears that all is well only while the gateway answers what it is asked over its own socket."""

from __future__ import annotations

import httpx2
import structlog
import trio

from gateway import __version__
from gateway.serving.admission import own_credential
from gateway.serving.protocol import CLIENT_CAPABILITIES, CLIENT_INFO, MODERN_VERSION, PROTOCOL_VERSION
from gateway.serving.systemd.supervisor import Supervisor

log = structlog.get_logger(__name__)

_QUESTION = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "server/discover",
    "params": {
        "_meta": {
            PROTOCOL_VERSION: MODERN_VERSION,
            CLIENT_INFO: {"name": "gateway-watchdog", "version": __version__},
            CLIENT_CAPABILITIES: {},
        }
    },
}
_HEADERS = {
    "Host": "localhost",  # which is always answered, wherever it listens
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": MODERN_VERSION,
    "Mcp-Method": "server/discover",
    "Authorization": own_credential().decode(),
}
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # what to connect to, not to bind


class Watchdog:
    """Asks over one connection that it keeps, since a new one may have to wait where many clients are connected.

    `address` is where MCP is served ("127.0.0.1:8765", "unix:PATH") and `path` the endpoint there. From `stop` on
    nothing is asked, for the sockets close then: that the event loop turns is enough.
    """

    def __init__(self, supervisor: Supervisor, within: float, address: str, path: str, stop: trio.Event) -> None:
        self._supervisor = supervisor
        self._period = within / 2  # as sd_watchdog_enabled(3) recommends
        self._stop = stop
        host, _, port = address.rpartition(":")
        self._socket = address.removeprefix("unix:") if address.startswith("unix:") else None
        self.url = (
            f"http://{_EVERY_ADDRESS.get(host, host)}:{port}{path}"
            if self._socket is None
            else f"http://localhost{path}"
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask and tell, until cancelled. What is not answered in a quarter of the time is asked again at once."""
        transport = httpx2.AsyncHTTPTransport(uds=self._socket)
        async with httpx2.AsyncClient(transport=transport, headers=_HEADERS, trust_env=False, timeout=None) as client:
            task_status.started()
            while True:
                began = trio.current_time()
                if self._stop.is_set() or await self._is_answered(client):
                    self._supervisor.alive()
                    await trio.sleep_until(began + self._period)
                else:
                    await trio.sleep(min(1.0, self._period / 4))

    async def _is_answered(self, client: httpx2.AsyncClient) -> bool:
        problem = "no answer in time"
        with trio.move_on_after(self._period / 2):
            try:
                answer = await client.post(self.url, json=_QUESTION)
                if answer.status_code == httpx2.codes.OK:
                    return True
                problem = f"the status {answer.status_code}"
            except (httpx2.HTTPError, OSError) as error:
                problem = f"{type(error).__name__}: {error}"
        if not self._stop.is_set():
            log.warning("the gateway does not answer itself", error=problem, within=self._period / 2)
        return False
