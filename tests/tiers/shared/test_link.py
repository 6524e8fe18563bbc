from __future__ import annotations

from pathlib import Path

import pytest
import trio

from gateway.errors import TierError
from gateway.pipeline.invalidation import Selector
from tests.fakes.engine import Engine
from tests.tiers.shared.rig import instance, section


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    """The reason names the keys and not the password; the right one is taken."""
    with Engine(tmp_path / "engine", password="right-one") as engine:
        for password in (None, "wrong-one"):
            async with instance(section(engine, password=password)) as one:
                assert not one.tier.link.up
                assert "-one" not in one.tier.link.reason
                assert "cache.shared" in one.tier.link.reason
                with pytest.raises(TierError, match="out of reach"):
                    await one.tier.get("k")
        async with instance(section(engine, password="right-one")) as one:
            assert one.tier.link.up


async def test_a_user_that_may_only_what_it_has_to(engine: Engine) -> None:
    """The README's rights are enough, for keys and a channel of the prefix alone."""
    rights = ("~gateway:*", "&gateway:*", "+@all", "-@dangerous", "+info")
    assert engine.do("ACL", "SETUSER", "us", "on", ">password", *rights) == b"+OK\r\n"
    async with (
        instance(section(engine, username="us", password="password")) as one,
        instance(section(engine, username="us", password="password")) as other,
    ):
        assert await one.ask("k") == b"k"
        assert await other.tier.get("k") is not None
        await one.pipeline.purge(Selector("all"))
        with trio.fail_after(20):
            while not other.telemetry.shared.total("heard"):
                await trio.lowlevel.checkpoint()
    async with instance(section(engine, prefix="theirs", username="us", password="password")) as one:
        assert not one.tier.link.up


async def test_a_unix_socket(tmp_path: Path) -> None:
    """An engine on the same machine needs no port."""
    path = tmp_path / "engine.sock"
    with Engine(tmp_path / "engine", socket=path) as engine:
        async with instance(section(engine, url=f"unix://{path}")) as one:
            assert await one.ask("k") == b"k"
            assert await one.tier.get("k") is not None


async def test_another_database(engine: Engine) -> None:
    """A number in the address is a database of its own."""
    async with instance(section(engine, url=f"{engine.url[:-1]}3")) as one:
        await one.ask("k")
        assert b"db3" in engine.do("INFO", "keyspace")
        assert b"db0" not in engine.do("INFO", "keyspace")


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command 'HELLO'\r\n", b"$-9\r\n"]
)
async def test_what_is_no_engine(said: bytes, engine: Engine) -> None:
    """A server of another kind, or an old engine, is one that is out of reach."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(said)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        async with instance(section(engine, url=f"redis://127.0.0.1:{port}", timeout="300ms")) as one:
            assert not one.tier.link.up
            assert one.tier.link.reason
            assert await one.ask("k") == b"k"
        nursery.cancel_scope.cancel()


async def test_an_engine_that_hangs_is_waited_for_once(engine: Engine) -> None:
    """All who wait when it stops answering are let go together, and who comes after them does not wait at all."""
    async with instance(section(engine, timeout="300ms")) as one:
        engine.freeze()
        async with trio.open_nursery() as nursery:

            async def get(key: str) -> None:
                with pytest.raises(TierError):
                    await one.tier.get(key)

            for number in range(50):
                nursery.start_soon(get, f"{number}")
        assert not one.tier.link.up
        with trio.fail_after(20):
            for number in range(1000):
                with pytest.raises(TierError, match="out of reach"):
                    await one.tier.get(f"{number}")
        engine.thaw()
        await one.wait_up()
        assert await one.tier.get("k") is None
