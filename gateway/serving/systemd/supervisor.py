"""What systemd is told: ready, reloading, stopping, a line of status, and that all is well (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from time import CLOCK_MONOTONIC, clock_gettime_ns

import structlog

from gateway.errors import StartError

log = structlog.get_logger(__name__)

_LONGEST = 400
"""Characters of a status; `systemctl status` shows one line."""


class Supervisor:
    """Whoever supervises this process; nothing is said where that is nobody.

    Every message is one datagram, sent without waiting. One that can't be sent is logged and costs nothing else.
    `watchdog` is within how many seconds `alive` has to be said, again and again; None: never.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self.watchdog = watchdog if address is not None else None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> Supervisor:
        """What `environ` names, which is taken out of it: children are not to speak for the gateway.

        Raises StartError for what makes no sense. Sources: sd_notify(3), sd_watchdog_enabled(3).
        """
        address = environ.pop("NOTIFY_SOCKET", "") or None
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if address is not None and address[0] not in "/@":
            raise StartError(f"NOTIFY_SOCKET: expected an absolute path, or @ and a name, found {address!r}; unset it")
        if usec and not (usec.isascii() and usec.isdigit() and int(usec) > 0):
            raise StartError(f"WATCHDOG_USEC: expected microseconds, found {usec!r}; unset it, or set WatchdogSec=")
        is_ours = bool(usec) and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if is_ours else None)

    def __bool__(self) -> bool:
        """Whether there is anybody to be told."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """It serves: for the first time, or again after `reloading`, with the new profile or the old one."""
        self._tell("READY=1", f"STATUS={_line(status)}")

    def reloading(self, status: str) -> None:
        """A reload begins; `ready` ends it. For `Type=notify-reload` the time of it is told as well."""
        self._tell(
            "RELOADING=1", f"MONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1000}", f"STATUS={_line(status)}"
        )

    def stopping(self, status: str, patience: float) -> None:
        """The end begins, and may take `patience` seconds, also where `TimeoutStopSec=` says less."""
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(patience * 1e6)}", f"STATUS={_line(status)}")

    def status(self, text: str) -> None:
        """How it is, for people, on one line."""
        self._tell(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """All is well. Without it for `watchdog` seconds systemd takes the process for hung, and starts another."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        # A name that begins with @ is of Linux's abstract namespace, whose first byte is 0 (unix(7)).
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning(
                "systemd can't be told", message=lines[0], key="NOTIFY_SOCKET", error=error.strerror or str(error)
            )


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
