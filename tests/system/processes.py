"""The gateway as a process of its own: started with a home and a cache of its own, on free ports, ended by its id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import trio

START = 60.0
"""Seconds for a process to start on a loaded machine."""
END = 60.0
"""Seconds for a process to end."""

FREE_PORTS = ["--set", 'server.bind=["127.0.0.1:0"]', "--set", 'admin.bind=["127.0.0.1:0"]']

NOTHING: Mapping[str, str] = {}

NOWHERE = "http://127.0.0.1:9"
"""An address where nothing listens."""


def environment(folder: Path, registry: str = NOWHERE) -> dict[str, str]:
    """The environment of a process: nothing of this one but the path."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CACHE_DIRECTORY": str(folder / "cache"),
        "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
        "npm_config_registry": registry,
        "LANG": "C.UTF-8",
        "PYTHONFAULTHANDLER": "1",
        "GATEWAY__WARM__ON_START": "false",  # what is asked for ahead would blur what a test asks for
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error::ResourceWarning", "-m", "gateway", *arguments]


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """What `gateway call` printed."""
        parsed = json.loads(self.out)
        assert isinstance(parsed, dict)
        return parsed

    @property
    def text(self) -> str:
        """The text of what `gateway call` printed."""
        return str(self.result["content"][0]["text"])


async def run(folder: Path, *arguments: str, stdin: bytes = b"", registry: str = NOWHERE) -> Ended:
    """Run `gateway` to its end, in `folder`."""
    with trio.fail_after(START):
        ended = await trio.run_process(
            command(*arguments),
            cwd=folder,
            env=environment(folder, registry),
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class Gateway:
    """A gateway that runs. What it writes to stderr is collected; it is killed if it is still there at the end."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        pipes: bool = False,
        registry: str = NOWHERE,
        environ: Mapping[str, str] = NOTHING,
        within: Sequence[str] = (),
        program: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        """`environ` comes on top; `within` is a command that runs the gateway, `program` what is run in its place."""
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*within, *(program or command()), *arguments],
            cwd=folder,
            env={**environment(folder, registry), **environ},
            pass_fds=pass_fds,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.PIPE,
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def serving(cls, folder: Path, *arguments: str, registry: str = NOWHERE) -> Self:
        """One that serves HTTP on free ports, once it has said so."""
        gateway = cls(folder, "serve", *FREE_PORTS, *arguments, registry=registry)
        try:
            gateway.wait_for("  client ")
        except BaseException:
            gateway.close()
            raise
        return gateway

    @property
    def stderr(self) -> str:
        with self._more:
            return "".join(self._lines)

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def url(self) -> str:
        """Where MCP is served."""
        return self._said(r"gateway: .* at (http://\S+)")

    @property
    def admin(self) -> str:
        """Where the admin site is."""
        return self._said(r"  admin +(http://\S+)")

    @property
    def port(self) -> int:
        return int(self.url.rpartition("/")[0].rpartition(":")[2])

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until so many lines on stderr hold `text`."""
        deadline = time.monotonic() + START
        with self._more:
            while sum(text in line for line in self._lines) < times:
                assert self._reader.is_alive(), f"it ended first:\n{''.join(self._lines)}"
                assert self._more.wait(deadline - time.monotonic()), f"not said in time: {text!r}\n{self._lines}"

    def stop(self, *signals: signal.Signals) -> int:
        """Send signals, SIGTERM if none is named, and wait for the end; the exit code."""
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        try:
            code = self.process.wait(END)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # at which it writes where each of its threads is
            self.process.wait(END)
            self._reader.join(END)
            raise AssertionError(f"it did not end:\n{self.stderr}") from None
        self._reader.join(END)
        assert "Traceback" not in self.stderr, self.stderr
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END)
        self._reader.join(END)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # of what was not read when it ended
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                with self._more:
                    self._lines.append(line.decode("utf-8", "replace"))
                    self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def _said(self, pattern: str) -> str:
        found = re.search(pattern, self.stderr)
        assert found, self.stderr
        return found[1]
