from __future__ import annotations

import textwrap

import pytest

from tests.profile.folder import Folder

TOOL = """
    [strategies.s]
    ttl = "1m"
    [upstreams.u]
    type = "http"
    base_url = "https://example.org"
    [tools.t]
    description = "d"
    strategy = "s"
    input.properties.name = { type = "string" }
    input.required = ["name"]
    fetch = { upstream = "u", path = "{name}" }
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[cache.memory]\nmax_size = '480MB'",
            "2:1: cache.memory.max_size: warning: the memory tier may take 480MB, and at monitors.memory.critical "
            "(480MB) it is emptied",
        ),
        (
            "[monitors.memory]\ncritical = '256MB'\nwarning = '1MB'",
            "2:1: monitors.memory.critical: warning: the memory tier may take 256MB, and at monitors.memory.critical "
            "(256MB) it is emptied",
        ),
        (
            "[cache.memory]\nmax_size = '400MB'",
            "2:1: cache.memory.max_size: warning: the memory tier may take 400MB, and at monitors.memory.warning "
            "(400MB) entries are given up",
        ),
        (
            "[alerts.memory]\nwarning = '100MB'",
            "2:1: alerts.memory.warning: warning: a full memory tier (256MB) is enough to raise this alert",
        ),
        (
            "[strategies.s]\nttl = '2h'",
            "2:1: strategies.s.ttl: warning: 2h is more than cache.disk.ttl (1h), so answers are fresh for 1h only",
        ),
        (
            "[strategies.s]\nttl = '30m'\n[cache.disk]\nenabled = false",
            "2:1: strategies.s.ttl: warning: 30m is more than cache.memory.ttl (15m), so answers are fresh for "
            "15m only",
        ),
        (
            "[cache.disk]\nenabled = false\n[cache.memory]\nenabled = false",
            "2:1: cache.disk.enabled: warning: both tiers are off, so every call asks the upstream",
        ),
        (
            "[cache.disk]\nmax_size = '1MB'",
            "2:1: cache.disk.max_size: warning: the disk tier (1MB) is smaller than memory (256MB)",
        ),
        (
            "[cache.memory]\nmax_size = '0B'",
            "2:1: cache.memory.max_size: warning: the tier has room for nothing",
        ),
        ("[warm]\non_start = true", "2:1: warm.on_start: warning: there are no calls to make"),
        ("[[warm.calls]]\ntool = 'x'", "2:1: warm.calls[0].tool: warning: there is no tool x"),
        (
            "[server]\nbind = ['0.0.0.0:1']",
            "2:1: server.bind: warning: it listens on every interface and answers requests to localhost only",
        ),
        (
            "[admin]\nbind = ['192.0.2.1:1']",
            "2:9: admin.bind[0]: warning: whoever reaches this address can purge the cache",
        ),
        (
            "[server]\ndrain_delay = '5s'\n[admin]\nenabled = false",
            "2:1: server.drain_delay: warning: a stop waits for load balancers to read /readyz, and there is no admin "
            "site that has it",
        ),
        (
            "[server]\nworkers = 2\nsessions = true",
            "3:1: server.sessions: warning: a session is known to one worker, and its requests may reach another one, "
            "to which it does not exist",
        ),
        (
            "[server]\nready_after = 'warm'",
            "2:1: server.ready_after: warning: nothing is warmed on start, so there is nothing to wait for",
        ),
        (
            "[strategies.s]\nttl = '1m'\ntiers = []",
            "3:1: strategies.s.tiers: warning: no tier that is in use may hold the answers",
        ),
    ],
)
def test_one_contradiction(folder: Folder, text: str, line: str) -> None:
    """Settings that work against each other are warned about at the key that the profile sets."""
    assert folder.warnings(text) == [f"p.toml:{line}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[upstreams.u]\nretries = 10",
            "13:1: upstreams.u.retries: warning: the pauses between 10 retries may take 17m, and timeout is 30s for "
            "all tries together",
        ),
        (
            "[upstreams.u]\ntry_timeout = '30s'",
            "13:1: upstreams.u.try_timeout: warning: a try may take 30s, and timeout is 30s for all of it",
        ),
        (
            "[upstreams.u]\nqueue_timeout = '1m'",
            "13:1: upstreams.u.queue_timeout: warning: a request may wait in the queue for 1m, and timeout is 30s for "
            "all of it",
        ),
        (
            "[upstreams.u]\nhedge.after = '30s'",
            "13:7: upstreams.u.hedge.after: warning: a second request after 30s is never sent: timeout ends the first "
            "one after 30s",
        ),
        (
            "[upstreams.u]\nhedge.after = '3s'\ntry_timeout = '2s'",
            "13:7: upstreams.u.hedge.after: warning: a second request after 3s is never sent: try_timeout ends the "
            "first one after 2s",
        ),
        (
            "[upstreams.u]\nhedge.after = '3s'\nmax_concurrent = 1\npool = { max_connections = 1, max_keepalive = 1 }",
            "13:1: upstreams.u.hedge: warning: a second request is never sent: max_concurrent allows one at a time",
        ),
        (
            "[upstreams.u.breaker]\nejection = '3m'",
            "13:1: upstreams.u.breaker.ejection: warning: the first ejection takes 3m, and none more than 2m",
        ),
        (
            "[upstreams.u]\nrate_limit = { max = 5, window = '1m' }",
            "13:1: upstreams.u.rate_limit: warning: failure_rate is never judged: rate_limit allows 8 requests in its "
            "window of 30s, and min_requests is 20",
        ),
        (
            "[upstreams.u]\nmax_concurrent = 10",
            "13:1: upstreams.u.max_concurrent: warning: 10 requests at once never need 50 connections",
        ),
        (
            "[upstreams.u.pool]\nmax_keepalive = 60",
            "13:1: upstreams.u.pool.max_keepalive: warning: 50 connections never leave 60 idle ones",
        ),
        (
            "[upstreams.v]\ntype = 'npm'\npackage = 'p'",
            "12:12: upstreams.v: warning: no tool reads from v",
        ),
        (
            "[tools.t.result]\nformat = 'text'\n[tools.t.output]",
            '14:10: tools.t.output: warning: structured content is declared, and format = "text" gives none',
        ),
        (
            "[tools.t.result.nearest]\nof = '@'\nto = 'name'",
            "12:17: tools.t.result.nearest: warning: the nearest names are looked for and never told",
        ),
        (
            "[tools.t.annotations]\ndestructive = true",
            "13:1: tools.t.annotations.destructive: warning: what only reads destroys nothing",
        ),
        (
            "[tools.t.annotations]\nread_only = false\n[[warm.calls]]\ntool = 't'\narguments.name = 'x'",
            "15:1: warm.calls[0].tool: warning: t does more than read, so calling it ahead warms nothing",
        ),
        (
            "[[warm.calls]]\ntool = 't'\neach = { nam = ['x'], name = ['y'] }",
            "14:10: warm.calls[0].each.nam: warning: t takes no argument nam",
        ),
        ("[[warm.calls]]\ntool = 't'", "12:8: warm.calls[0]: warning: t requires the argument name"),
        (
            "[[warm.calls]]\ntool = 't'\narguments = { name = 'x' }\neach = { name = ['y'] }",
            "14:15: warm.calls[0].arguments.name: warning: the argument name is in arguments and in each",
        ),
        (
            "invalidates = ['thing']",
            "12:1: tools.t.invalidates: warning: what only reads makes nothing untrue, and its answers come from the "
            "cache",
        ),
    ],
)
def test_contradictions_of_tools_and_upstreams(folder: Folder, text: str, line: str) -> None:
    """What tools, upstreams and warm calls say against each other is warned about."""
    profile = textwrap.dedent(TOOL.removeprefix("\n"))
    for table in ("[upstreams.u]", "[tools.t]"):
        if text.startswith(table + "\n"):
            key = text.removeprefix(table + "\n")
            (found,) = folder.warnings(profile.replace(f"{table}\n", f"{table}\n{key}\n"))
            assert found.split(": ", 1)[1] == line.split(": ", 1)[1]
            return
    assert folder.warnings(profile + text) == [f"p.toml:{line}"]


@pytest.mark.parametrize(
    ("base_url", "more", "problem"),
    [
        ("http://127.0.0.1:9000", "", "127.0.0.1 is a private address, and private addresses are refused"),
        ("http://[fd00::1]", "", "fd00::1 is a private address, and private addresses are refused"),
        ("http://localhost", "", "localhost is a private address, and private addresses are refused"),
        ("http://localhost", "private_addresses = true", None),
        ("http://example.org", "headers = { A = 'b' }", "these headers cross the network unencrypted"),
        ("https://example.org", "headers = { A = 'b' }", None),
        ("http://localhost", "headers = { A = 'b' }\n    private_addresses = true", None),
    ],
)
def test_where_an_upstream_is(folder: Folder, base_url: str, more: str, problem: str | None) -> None:
    """A private address that will be refused, and headers that anyone on the way can read, are warned about."""
    text = TOOL.replace('"https://example.org"', f'"{base_url}"\n    {more}')
    assert [line.partition("warning: ")[2] for line in folder.warnings(text)] == ([problem] if problem else [])


def test_a_package_that_can_not_be_unpacked(folder: Folder) -> None:
    """A package that may be larger packed than unpacked is warned about."""
    text = TOOL.replace('"http"', '"npm"').replace("base_url", "package").replace("https://example.org", "p")
    text = text.replace('path = "{name}"', 'path = "{name}", version = "1"')
    (line,) = folder.warnings(text.replace('"p"', '"p"\n    max_unpacked_size = "1MB"'))
    assert line.endswith("upstreams.u.max_unpacked_size: warning: a package may have 64MB packed and only 1MB unpacked")


def test_a_remedy(folder: Folder) -> None:
    """A warning ends with what to change, and with what was probably meant."""
    (warning,) = folder.load("[warm]\non_start = true").warnings
    assert warning.remedy == "add a [[warm.calls]]"
    (warning,) = folder.load(
        textwrap.dedent(TOOL) + "[[warm.calls]]\ntool = 't'\narguments = { nme = 'x' }\n"
    ).warnings[:1]
    assert warning.remedy == "did you mean name?"


def test_fewer_connections_than_requests(folder: Folder) -> None:
    """More requests than connections are fine: the others wait."""
    assert not folder.warnings("[upstream_defaults]\nmax_concurrent = 200\npool.max_connections = 50")


def test_defaults_contradict_nothing(folder: Folder) -> None:
    """A profile that sets nothing has no warnings."""
    assert not folder.warnings("[server]")
