"""`gateway top` on a gateway that runs, once and in a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from gateway.cli.top import seconds, share, size
from tests.system.processes import END, NOWHERE, START, Gateway, command, environment, run
from tests.system.watched import watched


async def test_once(tmp_path: Path) -> None:
    """Head, numbers, tiers, upstreams, tools and alerts, at 80 columns and without a control character."""
    more = "[alerts.throughput]\nwarning = 1\nmin_requests = 1\n[server]\ntitle = 'The [bold]watched[/bold] one'\n"
    async with watched(tmp_path, more) as gateway:
        with trio.fail_after(30):
            while not await gateway.raised():
                await gateway.item(1)
        ended = await run(tmp_path, "top", "--once", "--url", gateway.process.admin, "--profile", "./watched.toml")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].rstrip() == "The [bold]watched[/bold] one  ready"
    assert lines[1].startswith("profile watched, version ")
    assert lines[2].startswith("warning: throughput is ")
    words = ended.out.split()
    assert {"requests/s", "p95", "tier", "memory", "disk", "upstream", "items", "tool", "item"} <= set(words)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in ended.out


async def test_no_gateway(tmp_path: Path) -> None:
    """One sentence, and exit code 1."""
    bind = ["--set", 'admin.bind=["127.0.0.1:9"]']
    ended = await run(tmp_path, "top", "--once", *bind)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1] == (
        "gateway: no gateway of this profile runs (127.0.0.1:9); --url says where else to ask"
    )
    ended = await run(tmp_path, "top", "--url", NOWHERE)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"gateway: no gateway answers at {NOWHERE}: ")
    ended = await run(tmp_path, "top", "--set", "admin.enabled=false")
    assert ended.err.splitlines()[-1].startswith("gateway: no gateway of this profile runs (its admin site is off)")


async def test_on_a_terminal(tmp_path: Path) -> None:
    """It draws on a screen of its own, again and again; Ctrl-C ends it with 130 and gives the old screen back."""
    async with watched(tmp_path) as gateway:
        await trio.to_thread.run_sync(_drawn_and_ended, tmp_path, gateway.process)


def _drawn_and_ended(folder: Path, gateway: Gateway) -> None:
    with _terminal(folder, gateway) as (process, terminal):
        drawn = _read_until(terminal, b"", b"requests/s")
        assert b"\x1b[?1049h" in drawn  # xterm's alternate screen
        drawn = _read_until(terminal, b"", b"requests/s")  # once more
        os.write(terminal, b"\x03")
        drawn = _read_until(terminal, drawn, b"\x1b[?1049l")
        assert b"\x1b[?25h" in drawn, "the cursor is back"
        assert process.wait(END) == 128 + signal.SIGINT
        assert b"Traceback" not in drawn


async def test_a_gateway_that_goes_away(tmp_path: Path) -> None:
    """It says so and tries again."""
    async with watched(tmp_path) as gateway:
        await trio.to_thread.run_sync(_told, tmp_path, gateway.process)


def _told(folder: Path, gateway: Gateway) -> None:
    with _terminal(folder, gateway) as (process, terminal):
        _read_until(terminal, b"", b"requests/s")
        assert gateway.stop() == 0
        _read_until(terminal, b"", b"trying again")
        os.write(terminal, b"\x03")
        assert process.wait(END) == 128 + signal.SIGINT


@contextmanager
def _terminal(folder: Path, gateway: Gateway) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`gateway top` in a terminal of its own, which Ctrl-C is typed into."""
    ours, theirs = pty.openpty()
    arguments = ["top", "--interval", "0.2", "--url", gateway.admin, "--profile", "./watched.toml"]
    process = subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env={**environment(folder), "TERM": "xterm", "COLUMNS": "120", "LINES": "50"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(END)
        os.close(ours)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it is ignored by what was started in the background, as tests may be


def _read_until(terminal: int, drawn: bytes, text: bytes) -> bytes:
    deadline = time.monotonic() + START
    while text not in drawn:
        assert time.monotonic() < deadline, drawn
        try:
            drawn += os.read(terminal, 65536)
        except OSError as error:  # the other side is closed
            raise AssertionError(drawn) from error
    return drawn


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (0.0, "0 us"),
        (12e-6, "12 us"),
        (0.0012, "1.2 ms"),
        (1.5, "1.5 s"),
        (119, "119 s"),
        (300, "5 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations_for_people(value: float | None, expected: str) -> None:
    """In the unit that is read best."""
    assert seconds(value) == expected


def test_other_numbers_for_people() -> None:
    """Shares and sizes, and what is not known."""
    assert (share(0.987), share(None)) == ("98.7%", "-")
    assert (size(123_456_789), size(0), size(None)) == ("123.5 MB", "0 MB", "-")
