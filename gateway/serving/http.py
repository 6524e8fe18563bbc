"""MCP over streamable HTTP and the admin site, under hypercorn's Trio worker."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from gateway.assembly import Gateway
from gateway.profile.profile import Profile
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.search import SearchUpstream
from gateway.serving.admin.site import build_site
from gateway.serving.admission import Admission
from gateway.serving.admission_check import AdmissionCheck
from gateway.serving.direct.answers import Answers
from gateway.serving.direct.asking import AskSdk
from gateway.serving.front.connection import Handling
from gateway.serving.front.front import Front
from gateway.serving.front.handover import Hypercorn
from gateway.serving.front.head import Heads
from gateway.serving.hosts import HostCheck, answer
from gateway.serving.mcp_server import build_server
from gateway.serving.notify import Notifier
from gateway.serving.sessions import SessionGuard, end_sessions
from gateway.serving.sockets import address_of, bind, bind_paths, path_of, remove_path
from gateway.serving.spans import within_traces
from gateway.telemetry.tracing import tracing

_REFUSED_LINGERS = 5.0
"""Seconds after which hypercorn closes a connection on which nothing is asked."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a gateway listens: addresses with their real ports, and its sockets."""

    mcp: Sequence[socket.socket]
    admin: Sequence[socket.socket]

    @property
    def mcp_addresses(self) -> list[str]:
        """Of MCP."""
        return [address_of(sock) for sock in self.mcp]

    @property
    def admin_addresses(self) -> list[str]:
        """Of the admin site; empty where there is none."""
        return [address_of(sock) for sock in self.admin]


def listen(gateway: Gateway) -> Listening:
    """Bind what the profile says; raises StartError."""
    profile = gateway.profile
    section = profile.server
    mcp = bind("server.bind", section.bind)
    try:
        mcp += bind_paths("server.sockets", section.sockets, int(section.socket_mode, 8))
        return Listening(mcp, bind("admin.bind", profile.admin.bind) if profile.admin.enabled else [])
    except BaseException:
        for sock in mcp:
            sock.close()
        raise


async def serve_http(
    gateway: Gateway,
    listening: Listening,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` is set, then let the requests under way finish for at most `server.drain_timeout`."""
    section = gateway.profile.server
    notifier = Notifier(gateway.changes, gateway.catalogue)
    manager = StreamableHTTPSessionManager(
        build_server(gateway, notifier, remembers=section.sessions),
        json_response=section.response == "json",
        stateless=not section.sessions,
        session_idle_timeout=section.session_timeout,
        max_sessions=section.max_sessions,
        max_request_body_size=section.max_body_size,
    )
    mcp = cast("ASGIFramework", manager.asgi_app)
    if tracing():
        mcp = within_traces(mcp)
    if section.sessions:
        mcp = cast("ASGIFramework", SessionGuard(mcp, stop, section.connections.body_timeout))
    admission = Admission(gateway.profile, gateway.watching.telemetry, bucket=gateway.bucket)
    site_of_mcp = _at(section.path, mcp, streams=section.sessions)
    endpoint = HostCheck(
        cast("ASGIFramework", AdmissionCheck(site_of_mcp, admission)) if admission.needed else site_of_mcp,
        listening.mcp_addresses,
        section.allowed_hosts,
        section.allowed_origins,
    )
    heads = Heads(section, lambda headers: endpoint.refusal(headers) is None)
    answers = Answers(gateway, AskSdk(manager.asgi_app, section.path))
    front = Front(
        Handling(section, heads, admission, answers),
        Hypercorn(cast("ASGIFramework", endpoint), _config(gateway.profile)),
        gateway.watching.telemetry.connections,
    )
    site = HostCheck(
        build_site(gateway, stop),
        listening.admin_addresses,
        gateway.profile.admin.allowed_hosts,
        section="admin",
        own_pages_only=True,
    )
    paths = [path for sock in listening.mcp if (path := path_of(sock)) is not None]
    drained = trio.Event()  # the admin site outlives MCP, so that a probe is told that the gateway drains

    async def serve_mcp(*, task_status: trio.TaskStatus[Any]) -> None:
        if section.front:
            await front.serve(listening.mcp, stop, task_status=task_status)
        else:
            await _serve_sockets(endpoint, listening.mcp, gateway.profile, stop, task_status=task_status)
        drained.set()

    async with manager.run():
        async with trio.open_nursery() as nursery:
            if listening.admin:
                await nursery.start(_serve_sockets, site, listening.admin, gateway.profile, drained)
            await nursery.start(serve_mcp)
            async with trio.open_nursery() as notifying:
                await notifying.start(notifier.run)
                task_status.started()
                await stop.wait()
                for path in paths:  # now and not in the end: the next process may listen there by then
                    remove_path(path)
                notifier.close()
                notifying.cancel_scope.cancel()
        await end_sessions(manager)


async def _serve_sockets(
    app: HostCheck,
    sockets: Sequence[socket.socket],
    profile: Profile,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    config = _config(profile)
    config.bind = [f"fd://{sock.detach()}" for sock in sockets]
    run = partial(serve, cast("ASGIFramework", app), config, shutdown_trigger=stop.wait, mode="asgi")
    await run(task_status=task_status)


def _config(profile: Profile) -> Config:
    """What hypercorn is to do, apart from where."""
    limits = profile.server.connections
    config = Config()
    config.graceful_timeout = profile.server.drain_timeout
    config.keep_alive_max_requests = limits.max_requests
    # A connection whose body was refused half way counts as idle, too, and nothing else ends it.
    config.keep_alive_timeout = min(limits.idle_timeout, _REFUSED_LINGERS)
    config.h11_max_incomplete_size = limits.max_header_size
    # The default waits for ever for a body that stops half way. It runs while a request is answered, too, so it has to
    # be longer than that may take: at worst four documents of one upstream, one after the other.
    upstreams = profile.upstreams.values()
    timeouts = [each.timeout for each in upstreams if isinstance(each, Politeness)]
    timeouts += [each.patience for each in upstreams if isinstance(each, SearchUpstream)]
    # With sessions it would end the streams that a client has opened as well, and questions that people think about:
    # then `SessionGuard` looks after bodies.
    config.read_timeout = None if profile.server.sessions else 60 + round(4 * max(timeouts, default=0))
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn.error")
    config.accesslog = None
    return config


def _at(path: str, app: ASGIFramework, *, streams: bool) -> ASGIFramework:
    """`app` at one path; anything else is not found, and a GET only where there are `streams` of sessions."""

    async def dispatch(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        match scope["type"]:
            case "http" if scope["path"] == path and scope["method"] == "GET" and not streams:
                # The SDK would open a stream on which a server without sessions never has anything to say, and which
                # every stop would wait for. The answer for servers that offer none: MCP 2025-11-25, "Listening".
                await answer(send, 405, b"There is no event stream here: POST requests\n", (b"allow", b"POST"))
            case "http" if scope["path"] == path:
                await app(scope, receive, _to_the_end(send))
            case "http":
                await answer(send, 404, f"Not found; MCP is served at {path}\n".encode())
            case "lifespan":
                await _lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000, "reason": "no websockets here"})

    return cast("ASGIFramework", dispatch)


def _to_the_end(send: ASGISendCallable) -> ASGISendCallable:
    """`send`, which can't be cancelled at the end of an answer.

    Hypercorn tells the application then that the client is gone, and the SDK cancels what it streams at that: within
    its last `send`, which would leave the connection open and never taken for idle, also in a drain.
    """

    async def sending(event: ASGISendEvent) -> None:
        # Starlette leaves `more_body` out where it is false, as ASGI allows.
        with trio.CancelScope(shield=event["type"] == "http.response.body" and not event.get("more_body")):
            await send(event)

    return sending


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        match (await receive())["type"]:
            case "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            case "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return
