"""What systemd is told of a reload."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx2

from tests.fakes.systemd import Manager
from tests.system.fronted import write_profile
from tests.system.processes import FREE_PORTS, Gateway
from tests.system.test_serve import ACCEPT, PING


def test_a_reload(tmp_path: Path) -> None:
    """RELOADING comes with the time of it, then READY, with the new profile or, where that is faulty, the old one."""
    profile = write_profile(tmp_path)
    with Manager(tmp_path / "notify") as manager:
        options = ("serve", *FREE_PORTS, "--profile", str(profile))
        with Gateway(tmp_path, *options, environ={"NOTIFY_SOCKET": manager.address}) as gateway:
            gateway.wait_for("  client ")
            before = manager.wait_for("READY")
            for turn, addition in enumerate(("", "nonsense = 1\n"), 1):
                profile.write_text(addition + profile.read_text())
                gateway.process.send_signal(signal.SIGHUP)
                reloading = manager.wait_for("RELOADING", turn)
                assert reloading["MONOTONIC_USEC"].isdigit()
                after = manager.wait_for("READY", turn + 1)
                told = manager.told
                assert (
                    told.index(before) < told.index(reloading) < max(i for i, each in enumerate(told) if each == after)
                )
                assert httpx2.post(gateway.url, json=PING, headers=ACCEPT, trust_env=False).status_code == 200
            assert gateway.stop(signal.SIGTERM) == 0
