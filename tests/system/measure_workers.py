"""How much more two workers answer than one: `python -m tests.system.measure_workers`, on an idle machine.

The load is wrk's (`apt-get install wrk`), which takes some of the same cores: the ratio is what is left with that.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.system.processes import Gateway
from tests.system.reloads import Profile

ROUNDS = 3
SCRIPT = """
wrk.method = "POST"
wrk.body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"doc","arguments":{"name":"a"}}}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
"""


def answered(wrk: str, folder: Path, workers: int) -> float:
    """Requests a second of 32 connections, after a moment to warm up."""
    folder.mkdir()
    profile = Profile(folder).write(server=f"workers = {workers}")
    script = folder / "post.lua"
    script.write_text(SCRIPT)
    with Gateway.serving(folder, "--profile", str(profile.path)) as gateway:
        for seconds in ("2s", "8s"):
            command = [wrk, "-t1", "-c32", f"-d{seconds}", "-s", str(script), gateway.url]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert gateway.stop() == 0
    found = re.search(r"Requests/sec: +([0-9.]+)", said)
    assert found is not None, said
    assert "Non-2xx" not in said, said
    return float(found[1])


def main() -> int:
    """Measure in turn, and print the ratios."""
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.stderr.write("wrk is not installed\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            one, two = (answered(wrk, Path(folder) / f"{number}-{workers}", workers) for workers in (1, 2))
            print(f"one worker {one:.0f}, two workers {two:.0f} requests a second: {two / one:.2f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
