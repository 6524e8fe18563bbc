from __future__ import annotations

import os
import socket
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns

import pytest
import structlog

from gateway.errors import StartError
from gateway.serving.systemd.supervisor import Supervisor
from tests.fakes.systemd import Manager

BOTH = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}


def test_what_is_told(tmp_path: Path) -> None:
    """Each message is one datagram with the fields that sd_notify(3) has for it."""
    with Manager(tmp_path / "notify") as manager:
        supervisor = Supervisor(manager.address)
        before = clock_gettime_ns(CLOCK_MONOTONIC) // 1000
        supervisor.ready("23 tools")
        supervisor.reloading("reading the profile")
        supervisor.status("fine")
        supervisor.alive()
        supervisor.stopping("draining", 35.5)
        manager.wait_for("STOPPING")
        ready, reloading, status, alive, stopping = manager.told
    assert ready == {"READY": "1", "STATUS": "23 tools"}
    assert before <= int(reloading.pop("MONOTONIC_USEC")) <= clock_gettime_ns(CLOCK_MONOTONIC) // 1000
    assert reloading == {"RELOADING": "1", "STATUS": "reading the profile"}
    assert status == {"STATUS": "fine"}
    assert alive == {"WATCHDOG": "1"}
    assert stopping == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "35500000", "STATUS": "draining"}


def test_an_abstract_address() -> None:
    """A name that begins with @ is of the abstract namespace."""
    with Manager(f"@gateway-test-{os.getpid()}") as manager:
        Supervisor(manager.address).alive()
        manager.wait_for("WATCHDOG")


def test_a_status_is_one_line(tmp_path: Path) -> None:
    """Nothing in a status becomes a field of its own, and a long one is cut."""
    with Manager(tmp_path / "notify") as manager:
        Supervisor(manager.address).status("fine\nREADY=1\n" + "x" * 1000)
        told = manager.wait_for("STATUS")
    assert list(told) == ["STATUS"]
    assert told["STATUS"].startswith("fine READY=1 xxx")
    assert len(told["STATUS"]) == 400


def test_nobody_supervises() -> None:
    """Where nobody is to be told, nothing is said, and there is no watchdog."""
    environ = {"HOME": "/", **BOTH}
    supervisor = Supervisor.taken_from(environ)
    assert not supervisor
    assert supervisor.watchdog is None
    assert environ == {"HOME": "/"}
    supervisor.ready("")


@pytest.mark.parametrize(
    ("watchdog", "seconds"),
    [
        (BOTH, 30.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({**BOTH, "WATCHDOG_PID": "1"}, None),  # it is another process's
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
    ],
)
def test_the_watchdog(watchdog: dict[str, str], seconds: float | None) -> None:
    """It is this process's where systemd says so, or says nothing of a process; and no child inherits it."""
    environ = {"NOTIFY_SOCKET": "/run/notify", "HOME": "/", **watchdog}
    supervisor = Supervisor.taken_from(environ)
    assert supervisor
    assert supervisor.watchdog == seconds
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"NOTIFY_SOCKET": "vsock:2:1"},
            "NOTIFY_SOCKET: expected an absolute path, or @ and a name, found 'vsock:2:1'; unset it",
        ),
        (
            {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "soon"},
            "WATCHDOG_USEC: expected microseconds, found 'soon'; unset it, or set WatchdogSec=",
        ),
        (
            {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "0"},
            "WATCHDOG_USEC: expected microseconds, found '0'; unset it, or set WatchdogSec=",
        ),
    ],
)
def test_what_makes_no_sense(environ: dict[str, str], message: str) -> None:
    """It is a sentence that says what was expected, and what to do."""
    with pytest.raises(StartError) as caught:
        Supervisor.taken_from(environ)
    assert str(caught.value) == message


def test_nobody_listens_any_more(tmp_path: Path) -> None:
    """A message that can't be sent is logged, and nothing else happens."""
    with structlog.testing.capture_logs() as logs:
        Supervisor(str(tmp_path / "none")).alive()
    assert [(line["event"], line["message"], line["error"]) for line in logs] == [
        ("systemd can't be told", "WATCHDOG=1", "No such file or directory")
    ]


def test_who_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    """Where the queue of the other side is full, the event loop goes on."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent, structlog.testing.capture_logs() as logs:
        silent.bind(path)
        supervisor = Supervisor(path)
        while not logs:
            supervisor.alive()
    assert logs[0]["error"] == "Resource temporarily unavailable"
