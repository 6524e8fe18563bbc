"""From a command's options to a running event loop and an exit code."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import trio

from gateway.cli.exits import INTERRUPTED, report
from gateway.errors import GatewayError
from gateway.profile.loader import Loaded, load_profile

E = TypeVar("E", bound=Exception)


def load(name: str, overrides: Sequence[str]) -> Loaded:
    """The profile, with logging set up as it says; its warnings are for `gateway check`."""
    from gateway.telemetry.logs import set_up_logging

    loaded = load_profile(name, environ=os.environ, overrides=overrides)
    set_up_logging(loaded.profile.logging.level, loaded.profile.logging.format)
    return loaded


def run(main: Callable[[], Awaitable[int]]) -> int:
    """Run `main` under Trio; what it raises of our own becomes a sentence and an exit code."""
    gc.freeze()
    gc.enable()
    codes: list[int] = []
    try:
        codes.append(trio.run(main, strict_exception_groups=True))
    except* GatewayError as group:
        codes.append(report(first(group)))
    except* KeyboardInterrupt:
        codes.append(INTERRUPTED)
    return codes[-1]


def writable(*paths: Path | None) -> None:
    """Raise GatewayError for a file that can't be written, before the work for it is done."""
    for path in paths:
        folder = None if path is None else path.absolute().parent
        if path is not None and (
            path.is_dir() or folder is None or not folder.is_dir() or not os.access(folder, os.W_OK)
        ):
            raise GatewayError(f"can't write {path}: expected a file in a folder that is there and can be written")


async def cancel_on_signal(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Cancel `scope` at SIGTERM and SIGINT; runs until cancelled."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


async def stop_on_signal(stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Set `stop` at SIGTERM and SIGINT; runs until cancelled."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            import structlog  # here, since an agent waits for all that is imported at the start

            structlog.get_logger(__name__).info("stopping", signal=signal.Signals(number).name)
            stop.set()


def first(group: BaseExceptionGroup[E]) -> E:
    """The first error of a group, at whatever depth: the one that is told."""
    error = group.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error
