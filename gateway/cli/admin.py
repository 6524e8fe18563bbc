"""The admin API as commands use it: of the gateway that runs, else of one that is opened for the command."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import orjson
import trio
from cyclopts import Parameter

from gateway.atomic import Replacement
from gateway.errors import GatewayError
from gateway.profile.profile import Profile
from gateway.watch.warmer import Progress

Url = Annotated[
    str | None,
    Parameter(name="--url", help="The admin address of a gateway; without it, the one of the profile."),
]
_PATIENCE = httpx2.Timeout(5.0, read=600.0)
"""Seconds: to connect, and for one step of a long task."""


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin API of one gateway. Everything raises GatewayError with a sentence."""

    where: str
    http: httpx2.AsyncClient

    async def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The answer to one request, as data."""
        try:
            response = await self.http.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise GatewayError(f"{self.where} did not answer: {error or type(error).__name__}") from error
        self._refuse(response)
        answer: dict[str, Any] = orjson.loads(response.content)
        return answer

    async def content(self, path: str) -> bytes:
        """What one address holds, as bytes."""
        try:
            response = await self.http.get(path)
        except httpx2.HTTPError as error:
            raise GatewayError(f"{self.where} did not answer: {error or type(error).__name__}") from error
        self._refuse(response)
        return response.content

    async def warm(self, report: Callable[[Progress], None]) -> Progress:
        """Make the calls of `[warm]`, telling each step; how it went."""
        progress = Progress(0)
        try:
            async with self.http.stream("POST", "/api/cache/warm") as response:
                self._refuse(response)
                async for line in response.aiter_lines():
                    step = orjson.loads(line)
                    progress = Progress(**{**step, "failures": tuple(step["failures"])})
                    report(progress)
        except httpx2.HTTPError as error:
            raise GatewayError(f"{self.where} broke off: {error or type(error).__name__}") from error
        return progress

    async def export(self, to: Path) -> None:
        """Write every usable entry to a file, which appears under its name once it is complete."""
        try:
            async with self.http.stream("GET", "/api/cache/export") as response:
                if response.is_error:
                    await response.aread()
                self._refuse(response)
                replacement = await trio.to_thread.run_sync(Replacement, to)
                try:
                    async for chunk in response.aiter_bytes():
                        await trio.to_thread.run_sync(replacement.file.write, chunk)
                    await trio.to_thread.run_sync(replacement.commit)
                finally:
                    replacement.discard()
        except httpx2.HTTPError as error:
            raise GatewayError(f"{self.where} broke off: {error or type(error).__name__}") from error
        except OSError as error:
            raise GatewayError(f"can't write {to}: {error.strerror or error}") from error

    async def import_(self, source: Path) -> dict[str, Any]:
        """Bring the entries of an export in; how many there were of each kind."""
        try:
            async with await trio.open_file(source, "rb") as file:
                return await self.ask("POST", "/api/cache/import", content=_chunks(file))
        except OSError as error:
            raise GatewayError(f"can't import {source}: {error.strerror or error}; nothing was imported") from error

    def _refuse(self, response: httpx2.Response) -> None:
        if not response.is_error:
            return
        try:
            message = str(orjson.loads(response.content)["error"])
        except (ValueError, KeyError, TypeError, httpx2.ResponseNotRead):
            message = f"{self.where} answered {response.status_code}"
        raise GatewayError(message)


@asynccontextmanager
async def open_admin(profile: Profile, url: str | None = None) -> AsyncIterator[Admin]:
    """The admin API at `url`, else of the gateway that has the profile's cache, else of one on the cache file.

    Says on stderr which it is. Raises GatewayError when nobody answers at `url`, or when the file can't be opened.
    """
    running = await running_at(profile, url)
    if running is not None:
        sys.stderr.write(f"gateway: asking the gateway at {running}\n")
        async with _client(running) as http:
            yield Admin(f"the gateway at {running}", http)
        return
    from gateway.cli.offline import open_offline

    disk = profile.cache.disk
    place = disk.path if disk.enabled else "nothing: the disk tier is off (cache.disk.enabled)"
    sys.stderr.write(f"gateway: no gateway runs on it, working on {place}\n")
    async with open_offline(profile) as admin:
        yield admin


@asynccontextmanager
async def open_running(profile: Profile, url: str | None = None) -> AsyncIterator[Admin]:
    """The admin API at `url`, else of the gateway that runs where the profile says. Raises GatewayError for none."""
    running = await running_at(profile, url)
    if running is None:
        where = profile.admin.bind[0] if profile.admin.enabled else "its admin site is off"
        raise GatewayError(f"no gateway of this profile runs ({where}); --url says where else to ask")
    async with _client(running) as http:
        yield Admin(f"the gateway at {running}", http)


async def running_at(profile: Profile, url: str | None = None) -> str | None:
    """Where the admin API of a running gateway answers: at `url`, or where the profile says; None if it runs nowhere.

    One that listens where the profile says and keeps another file is of another profile: its cache is not meant.
    Raises GatewayError when nobody answers at `url`.
    """
    if url is None and not profile.admin.enabled:
        return None
    address = url or f"http://{profile.admin.bind[0]}"
    try:
        async with _client(address) as http:
            answer = orjson.loads((await http.get("/api/cache/stats")).content)
        if isinstance(answer, dict) and "tiers" in answer:
            ours = url is not None or answer.get("file") in (None, str(profile.cache.disk.file))
            return address if ours else None
        problem = "something else"
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        problem = str(error) or type(error).__name__
    except ValueError:
        problem = "something else"
    if url is not None:
        raise GatewayError(f"no gateway answers at {url}: {problem}")
    return None


def _client(address: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=address, timeout=_PATIENCE, trust_env=False)


async def _chunks(file: Any) -> AsyncIterable[bytes]:
    while chunk := await file.read(65536):
        yield chunk
