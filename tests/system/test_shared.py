"""The shared tier in whole gateways of one process each way: what is shared, with whom, and what is said of it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from gateway.assembly import Gateway, open_gateway
from gateway.assembly.running import open_running
from gateway.errors import ProfileError, StartError
from gateway.profile.loader import load_profile
from gateway.profile.workers import for_worker
from gateway.serving.workers.worker import Siblings, client_of
from gateway.tiers.shared.rates import SharedRate
from tests.fakes.engine import Engine
from tests.fakes.http_server import HttpServer, answer
from tests.system.processes import run

PROFILE = """
[cache.shared]
enabled = true
url = "{engine}"
timeout = "5s"
[cache.disk]
enabled = false
[strategies.s]
ttl = "1h"
scope = "{scope}"
[upstreams.api]
type = "http"
base_url = "{upstream}"
private_addresses = true
[upstreams.folder]
type = "files"
root = "{folder}"
[tools.get]
description = "A document."
strategy = "s"
fetch = {{ upstream = "api", path = "a" }}
[tools.read]
description = "A file."
strategy = "s"
fetch = {{ upstream = "folder", path = "a.json" }}
"""


@pytest.fixture
async def api(nursery: trio.Nursery) -> HttpServer:
    """An upstream with one document."""
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/a", answer(b'{"is": "a"}'))
    return server


class Site:
    """Where gateways of one profile are opened, each with its own folder of files."""

    def __init__(self, path: Path, engine: Engine, api: HttpServer) -> None:
        self._path = path
        self._engine = engine
        self._api = api

    def profile(self, *, scope: str = "public", more: str = "", folder: Path | None = None) -> str:
        about = {"engine": self._engine.url, "upstream": self._api.url, "scope": scope}
        return PROFILE.format(**about, folder=folder or self._path) + more

    @asynccontextmanager
    async def gateway(self, *, ahead: bool = False, **about: Any) -> AsyncIterator[Gateway]:
        (self._path / "p.toml").write_text(self.profile(**about))
        loaded = load_profile("p", environ={}, cwd=self._path, folders=[self._path])
        async with open_gateway(loaded.profile, {}, ahead=ahead) as gateway:
            yield gateway


@pytest.fixture
def site(tmp_path: Path, api: HttpServer) -> Any:
    with Engine(tmp_path / "engine") as engine:
        yield Site(tmp_path, engine, api)


async def ask(gateway: Gateway, tool: str = "get", caller: str = "") -> Any:
    result = await gateway.catalogue.call(tool, {}, caller=caller)
    assert result.payload is not None, result.message
    return orjson.loads(result.payload)["structuredContent"]


async def test_what_one_has_asked_for_the_other_has(site: Site, api: HttpServer) -> None:
    """A gateway that starts finds what another one has asked for, and says that it was there already."""
    async with site.gateway() as one, site.gateway() as other:
        assert one.tiers == ("memory", "shared")
        for each in (one, other):
            assert await ask(each) == {"is": "a"}
    assert api.targets() == ["/a"]


@pytest.mark.parametrize(("caller", "asked"), [("", 2), ("client:alice", 1)])
async def test_private_answers_are_shared_by_name_alone(caller: str, asked: int, site: Site, api: HttpServer) -> None:
    """Two callers without a name, on two machines, are two; a client with a name is itself on each."""
    async with site.gateway(scope="private") as one, site.gateway(scope="private") as other:
        for each in (one, other):
            assert await ask(each, caller=caller) == {"is": "a"}
        assert len(api.targets()) == asked
        await ask(other, caller="client:bob")
        assert len(api.targets()) == asked + 1


async def test_files_are_each_machines_own(site: Site, tmp_path: Path) -> None:
    """The same path on two machines may hold two files."""
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        (folder / "a.json").write_text(f'{{"in": "{folder.name}"}}')
    link = tmp_path / "link"
    link.symlink_to(folders[0])
    async with site.gateway(folder=link) as one:
        assert await ask(one, "read") == {"in": "one"}
        link.unlink()
        link.symlink_to(folders[1])
        async with site.gateway(folder=link) as other:
            assert await ask(other, "read") == {"in": "other"}


async def test_the_alert_on_an_engine_that_is_down(site: Site) -> None:
    """It is raised once the engine has been out of reach for so long, and cleared when it is back."""
    alert = '[alerts.shared]\nwarning = "100ms"\n[metrics]\nresolution = "1s"\ninterval = "1s"\n'
    async with site.gateway(ahead=True, more=alert) as gateway:
        site._engine.kill()
        with trio.fail_after(30):
            while not gateway.watching.alerting.raised:
                await trio.lowlevel.checkpoint()
            assert [each.name for each in gateway.watching.alerting.raised] == ["shared"]
            await trio.to_thread.run_sync(site._engine.start)
            while gateway.watching.alerting.raised:
                await trio.lowlevel.checkpoint()


async def test_the_preflight_looks_for_the_engine(site: Site, tmp_path: Path) -> None:
    """`gateway check --preflight` says whether the engine is in reach."""
    (tmp_path / "p.toml").write_text(site.profile())
    found = await run(tmp_path, "check", "--preflight", "--profile", "p.toml")
    assert "connected to redis://" in " ".join(found.out.split())
    site._engine.kill()
    found = await run(tmp_path, "check", "--preflight", "--profile", "p.toml")
    assert found.code != 0
    assert "out of reach" in " ".join(found.out.split())


async def test_without_the_extra_the_start_says_which_command_installs_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its one sentence, and not as a traceback."""
    monkeypatch.setitem(sys.modules, "gateway.tiers.shared.link", None)
    monkeypatch.delattr("gateway.tiers.shared.link", raising=False)
    expected = r"needs the extra `shared`, .* is not installed: pip install 'gateway\[shared\]'"
    with pytest.raises(StartError, match=expected):
        async with site.gateway():
            pass


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('password = "literal"', "cache.shared.password: expected a credential"),
        ('url = "redis://me:secret@host"', "cache.shared.url: expected an address without a user name"),
        ('url = "http://host"', 'cache.shared.url: expected an address such as "redis://127.0.0.1:6379/0"'),
        ('url = "redis://host/x"', "cache.shared.url: expected an address such as"),
        ('url = "redis://host?timeout=1"', "cache.shared.url: expected an address such as"),
        ('url = "unix://"', "cache.shared.url: expected an address such as"),
        ('url = "redis://host:99999"', "cache.shared.url: expected an address such as"),
        ('prefix = "a b"', "cache.shared.prefix: expected 1 to 64 letters"),
        ('username = "me"', "cache.shared: expected a password for the username"),
    ],
)
def test_faults_of_the_profile(text: str, fault: str, tmp_path: Path) -> None:
    """Where the engine is and who the gateway is to it is checked before anything is opened."""
    (tmp_path / "p.toml").write_text(f"[cache.shared]\nenabled = true\n{text}\n")
    with pytest.raises(ProfileError) as raised:
        load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path])
    assert fault in str(raised.value)
    assert "literal" not in str(raised.value).replace("found a literal", "")


async def test_workers_have_the_whole_of_a_shared_rate(site: Site, tmp_path: Path) -> None:
    """Each has a part of it for itself; what the engine keeps is of all of them, and as much as the profile says."""
    (tmp_path / "p.toml").write_text(site.profile())
    limits = ("server.workers=2", "upstreams.api.rate_limit.max=10", 'upstreams.api.rate_limit.window="1s"')
    loaded = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path], overrides=limits)
    async with (
        client_of(str(tmp_path / "nobody.sock")) as hub,
        open_running(for_worker(loaded, 1, 2), {}, Siblings(hub, 1)) as running,
    ):
        (policies,) = running.gateway.catalogue.documents.upstreams["api"].policies
        shared = policies._bucket.elsewhere
        assert isinstance(shared, SharedRate)
        assert policies._bucket._interval == 0.2
        assert shared._interval == 100_000  # microseconds
