"""A service manager: the socket that services tell it things over, and what they told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

PATIENCE = 60.0


class Manager:
    """Reads what it is told at once, as systemd does: nobody has to wait for it. `address` is for NOTIFY_SOCKET."""

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(f"\0{self.address[1:]}" if self.address.startswith("@") else self.address)
        self._told: list[dict[str, str]] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def told(self) -> list[dict[str, str]]:
        """Every message so far, as fields."""
        with self._more:
            return list(self._told)

    def count(self, field: str) -> int:
        """In how many messages `field` was."""
        return sum(field in message for message in self.told)

    def wait_for(self, field: str, count: int = 1) -> dict[str, str]:
        """Wait until `field` was in so many messages; the last of them."""
        return self.wait_until(lambda message: field in message, count)

    def wait_until(self, condition: Callable[[dict[str, str]], bool], count: int = 1) -> dict[str, str]:
        deadline = time.monotonic() + PATIENCE
        with self._more:
            while len(found := [message for message in self._told if condition(message)]) < count:
                assert self._more.wait(deadline - time.monotonic()), f"not told in time: {self._told}"
            return found[-1]

    def hears_nothing(self, field: str, seconds: float) -> bool:
        """Whether `field` is not told for so long."""
        with self._more:
            before = len([message for message in self._told if field in message])
            return not self._more.wait_for(
                lambda: len([message for message in self._told if field in message]) > before, seconds
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self._sock.getsockname())
        self._reader.join(PATIENCE)
        self._sock.close()

    def _read(self) -> None:
        while data := self._sock.recv(65536):
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            with self._more:
                self._told.append(fields)
                self._more.notify_all()
