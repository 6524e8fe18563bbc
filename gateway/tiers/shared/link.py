"""The way to the engine: two connections, and whether there is any at all."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import trio
from anyio import connect_tcp, connect_unix, fail_after
from anyio.abc import ByteStream
from coredis.connection import BaseConnection, Location, TCPLocation, UnixDomainSocketLocation
from coredis.exceptions import AuthenticationError, AuthorizationError, NoScriptError, RedisError
from coredis.exceptions import ConnectionError as LostError

from gateway.errors import TierError
from gateway.profile.shared import SharedTier as SharedSection
from gateway.tiers.shared.scripts import SCRIPTS, STALE_EPOCH, Script

_MOST_WAITING = 4096
"""Operations that wait for the engine; one more fails at once."""


class Link:
    """The engine as everything in this package asks it: at once, or not at all.

    While it is down every operation fails at once, so that no request waits for it twice: one that takes longer than
    `timeout` closes the connections, and only who opens them anew finds out whether it is up.

    coredis' connections are used by themselves and not through its pool: a command is sent in the step in which it is
    asked for, after all others, and the engine answers in that order. A read that is asked for after a purge comes
    after it; that is what a purge rests upon. One connection is enough for that, as commands do not wait for each
    other's answers; a second one brings what is published, so that no long answer is in its way.
    """

    def __init__(self, section: SharedSection) -> None:
        self._section = section
        self._commands: BaseConnection | None = None
        self._waiting = 0
        self._opened = trio.Event()
        self.reason = "not connected yet"
        """Why it is down."""

    @property
    def up(self) -> bool:
        """Whether there is a connection on which commands may be sent."""
        return self._commands is not None

    @property
    def commands(self) -> BaseConnection | None:
        """The connection on which commands may be sent."""
        return self._commands

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[BaseConnection, BaseConnection]]:
        """Two connections, for commands and for what is published; nobody else uses them before `open`.

        Raises TierError when they can't be made. The block is cancelled, and TierError raised, when one of them ends.
        """
        trouble: list[Exception] = []
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                try:
                    both = []
                    for _ in range(2):
                        both.append(await self._connection())
                        await nursery.start(_hold, both[-1], scope, trouble)
                    commands, news = both
                    for script in SCRIPTS:
                        await self.on(commands, b"SCRIPT", b"LOAD", script.source)
                    yield commands, news
                except (RedisError, TierError, OSError, TimeoutError) as error:
                    trouble.insert(0, error)
                finally:
                    self.close("the connection was closed")
                    nursery.cancel_scope.cancel()
        if trouble:
            raise self._told(trouble[0]) from None

    def open(self, commands: BaseConnection) -> None:
        """Let everybody use the connection."""
        self._commands = commands
        self._opened.set()

    async def wait_up(self) -> None:
        """Return when there is a connection."""
        while self._commands is None:
            await self._opened.wait()

    def close(self, reason: str) -> None:
        """The engine is down, for everybody and from now on."""
        connection, self._commands = self._commands, None
        if connection is not None:
            self._opened = trio.Event()
            self.reason = reason
            connection.invalidate()

    def ask(self, script: Script, keys: list[str], *args: str | bytes | int, whole: bool = False) -> Asked:
        """Send a script now; what it answers is there to be waited for. Raises TierError at once while it is down.

        `whole` sends its text as well, for what must not be sent twice where the engine has forgotten it.
        """
        connection = self._commands
        if connection is None:
            raise TierError(f"shared: the engine is out of reach: {self.reason}")
        if self._waiting >= _MOST_WAITING:
            raise TierError("shared: too much waits for the engine already")
        return Asked(self, connection, script, keys, args, whole=whole)

    async def do(self, script: Script, keys: list[str], *args: str | bytes | int) -> Any:
        """What the script answers. Raises TierError."""
        return await self.ask(script, keys, *args).answer()

    async def on(self, connection: BaseConnection, command: bytes, *args: str | bytes | int) -> Any:
        """What a command answers on a connection that is not for everybody yet. Raises TierError."""
        try:
            return await connection.create_request(command, *args, decode=False)
        except (RedisError, TimeoutError) as error:
            raise self._told(error) from None

    def failed(self, connection: BaseConnection, error: Exception) -> TierError:
        """What to raise for an operation that failed; an engine that did not answer in time is down from now on."""
        told = self._told(error)
        if connection is self._commands and (isinstance(error, TimeoutError) or STALE_EPOCH in str(error)):
            self.close(str(told).removeprefix("shared: "))
        return told

    async def _connection(self) -> BaseConnection:
        """A connection that is made, but for what the two have to say first. Raises OSError and TimeoutError."""
        section = self._section
        parts = urlsplit(section.url)
        location: Location
        stream: ByteStream
        with fail_after(section.timeout):
            if parts.scheme == "unix":
                location, stream = UnixDomainSocketLocation(parts.path), await connect_unix(parts.path)
            else:
                location = TCPLocation(parts.hostname or "", parts.port or 6379)
                stream = await self._dialled(location, encrypted=parts.scheme == "rediss")
        return _Connection(
            location,
            stream,
            stream_timeout=section.timeout,
            username=section.username,
            password=section.password,
            client_name=section.prefix,
            db=0 if parts.scheme == "unix" else int(parts.path.removeprefix("/") or 0),
        )

    async def _dialled(self, location: TCPLocation, *, encrypted: bool) -> ByteStream:
        if not encrypted:
            return await connect_tcp(location.host, location.port)
        return await connect_tcp(
            location.host,
            location.port,
            ssl_context=ssl.create_default_context(),
            tls_standard_compatible=False,  # as engines do it: they close without a word
        )

    def _told(self, error: Exception) -> TierError:
        if isinstance(error, TierError):
            return error
        seconds = f"{self._section.timeout:g}s"
        match error:
            case TimeoutError():
                return TierError(f"shared: no answer in {seconds} (cache.shared.timeout)")
            case AuthenticationError() | AuthorizationError():
                return TierError(f"shared: refused: {error} (cache.shared.username, cache.shared.password)")
            case OSError() | LostError():
                cause = error.__cause__
                detail = f"{error}: {cause}" if isinstance(cause, OSError) else str(error)
                return TierError(f"shared: {detail} (cache.shared.url)")
            case _:
                return TierError(f"shared: {error}")


class _Connection(BaseConnection):
    """A connection over a stream that is open: one that can't be opened is never made, and leaves nothing behind."""

    def __init__(self, location: Location, stream: ByteStream, **about: Any) -> None:
        super().__init__(location, **about)
        self._opened = stream

    async def _connect(self) -> ByteStream:
        return self._opened

    def describe(self) -> str:
        """For representations."""
        return f"{type(self).__name__}<{self.location}>"


class Asked:
    """A script that was sent."""

    __slots__ = ("_args", "_connection", "_keys", "_link", "_request", "_script")

    def __init__(
        self,
        link: Link,
        connection: BaseConnection,
        script: Script,
        keys: list[str],
        args: tuple[str | bytes | int, ...],
        *,
        whole: bool,
    ) -> None:
        self._link, self._connection, self._script, self._keys, self._args = link, connection, script, keys, args
        first = (b"EVAL", script.source) if whole else (b"EVALSHA", script.sha)
        self._request = self._sent(*first)

    async def answer(self) -> Any:
        """What it answers; None for nothing. Raises TierError. Cancelling does not undo it."""
        link = self._link
        link._waiting += 1
        try:
            try:
                return await self._request
            except NoScriptError:  # somebody has emptied the engine's memory of scripts
                return await self._sent(b"EVAL", self._script.source)
        except (RedisError, TimeoutError) as error:
            raise link.failed(self._connection, error) from None
        finally:
            link._waiting -= 1

    def _sent(self, command: bytes, script: str) -> Any:
        try:
            return self._connection.create_request(
                command, script, len(self._keys), *self._keys, *self._args, decode=False
            )
        except RedisError as error:
            raise self._link.failed(self._connection, error) from None


async def _hold(
    connection: BaseConnection,
    scope: trio.CancelScope,
    trouble: list[Exception],
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Run a connection to its end, which ends `scope`; one that can't be made raises."""
    begun = False

    class _Status:
        def started(self, value: None = None) -> None:
            nonlocal begun
            begun = True
            task_status.started(value)

    try:
        await connection.run(task_status=_Status())
    except RedisError as error:
        if not begun:
            raise
        trouble.append(error)
    if begun:
        trouble.append(LostError("the connection has ended"))
        scope.cancel()
