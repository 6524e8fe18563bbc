"""A real engine (redis-server, or valkey-server) of a test's own: on a free port, with its own folder."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

PATIENCE = 30.0
"""Seconds for it to start on a loaded machine."""


class Engine:
    """An engine as a process. `durable` keeps every write through a kill; else nothing survives one."""

    def __init__(self, folder: Path, *, durable: bool = True, password: str = "", socket: Path | None = None) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.port = _free_port()
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "redis-server is needed: apt-get install redis-server"
        self._command = [
            *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
            *("--appendonly", "yes" if durable else "no", "--appendfsync", "always", "--daemonize", "no"),
            *(("--requirepass", password) if password else ()),
            *(("--unixsocket", str(socket)) if socket else ()),
        ]
        self._password = password
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, again after `kill`; returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the engine does not start"

    def kill(self) -> None:
        """As kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def lose_all(self) -> None:
        """Delete what a killed engine has kept."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def freeze(self) -> None:
        """Let it hang: it accepts, and never answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def do(self, *words: str | bytes) -> bytes:
        """Send it a command; the raw reply, as far as it came in one piece."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            if self._password:
                connection.sendall(_encoded("AUTH", self._password))
                assert connection.recv(100).startswith(b"+OK")
            connection.sendall(_encoded(*words))
            return connection.recv(1 << 20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self) -> bool:
        try:
            return self.do("PING").startswith(b"+PONG")
        except OSError:
            time.sleep(0.01)  # between two tries to connect, not a wait for something to have happened
            return False


def _encoded(*words: str | bytes) -> bytes:
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
