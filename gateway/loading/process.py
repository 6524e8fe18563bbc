"""The opening of a server that is a child process: started, spoken with, and ended with all that it has started."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import cast

import trio

from gateway.errors import GatewayError
from gateway.loading.model import Era
from gateway.loading.stdio import StdioTarget

_PATIENCE = 3.0
"""Seconds for it to end once its stdin is closed, and again after SIGTERM (2025-11-25, "Shutdown")."""


@asynccontextmanager
async def open_stdio(
    command: str, era: Era | None, *, patience: float, environ: Mapping[str, str] | None = None
) -> AsyncIterator[StdioTarget]:
    """The server that `command` (as a shell splits it) starts; leaving the block ends it and what it has started.

    `environ` is its environment; without it, that of this process.
    Raises GatewayError where it can't be started, ends, or speaks no MCP within `patience` seconds.
    """
    process = await _started(command, environ)
    target = StdioTarget(command, process)
    try:
        async with trio.open_nursery() as nursery:
            for task in (target.read, target.write, target.listen):
                nursery.start_soon(task)
            failure: GatewayError | None = None
            try:
                with trio.fail_after(patience):
                    await target.negotiate(era)
            except GatewayError as error:
                failure = error
            except trio.TooSlowError:
                failure = GatewayError(f"{command} does not answer as an MCP server: no answer within {patience:g} s")
            if failure is None:
                yield target
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await _stopped(process)
    if failure is not None:  # raised here, it is in no exception group
        raise failure


async def _started(command: str, environ: Mapping[str, str] | None) -> trio.Process:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise GatewayError(f"--command: {command!r} can't be split into words: {error}") from None
    if not words:
        raise GatewayError("--command: expected a command such as 'gateway stdio', found nothing")
    try:
        return await trio.lowlevel.open_process(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=True,  # Ctrl-C ends the test, which ends the server
        )
    except OSError as error:
        raise GatewayError(f"{words[0]} can't be started: {error.strerror}") from None


async def _stopped(process: trio.Process) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        await trio.aclose_forcefully(cast("trio.abc.AsyncResource", pipe))
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            _signal(process.pid, number)
        with trio.move_on_after(_PATIENCE):
            await process.wait()
            break
    _signal(process.pid, signal.SIGKILL)  # what it has left behind


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
