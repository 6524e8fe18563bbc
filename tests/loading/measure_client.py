"""How many requests a second the load tester's own client manages: `python -m tests.loading.measure_client`.

The server is in another process and does next to nothing; with two cores or more, the client is what is measured. On a
machine that is busy with other things, the CPU time beside the server's is what to look at.
"""

from __future__ import annotations

import subprocess
import sys
from time import process_time

import psutil
import trio

from gateway.loading.mix import uniform_mix
from gateway.loading.opening import open_http
from gateway.loading.result import result_of
from gateway.loading.running import LoadTest
from gateway.loading.verdict import spelled
from gateway.profile.load import Load

_REQUESTS = 30_000


async def measure(url: str, connections: int, server: psutil.Process) -> None:
    """Make the requests, and print how quickly."""
    load = Load(connections=connections, requests=_REQUESTS)
    async with open_http(url, "modern", headers={}, ca=None, patience=5.0) as target:
        test = LoadTest(target, uniform_mix([("echo", {"name": "button"})]), load)
        before, served = process_time(), sum(server.cpu_times()[:2])
        await test.run()
        cpu, served = process_time() - before, sum(server.cpu_times()[:2]) - served
    result = result_of(test.tally, test.counted_seconds)
    latency = result.all.latency
    print(
        f"{connections:5} connections: {result.rate:7.0f} requests/s, {_REQUESTS / cpu:7.0f} a second of own CPU time, "
        f"{cpu / served:.2f} times that of the server, "
        f"p50 {spelled(latency.p50)}, p99 {spelled(latency.p99)}, {result.all.failed} failed"
    )


def main() -> None:
    """Measure with few and with many connections."""
    command = [sys.executable, "-m", "tests.loading.trivial_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/mcp"
            for connections in (1, 16, 100, 1000):
                trio.run(measure, url, connections, psutil.Process(server.pid))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
