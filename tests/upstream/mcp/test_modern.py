"""Servers of 2026 over streamable HTTP: how long things hold and for whom, what they want to know, what they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mcp_types as types
import orjson
import pytest
import trio

from gateway.catalogue.federated import Asking
from gateway.errors import UpstreamError
from gateway.serving.sdk.listings import Listings
from gateway.upstream.mcp.model import Answers, UpstreamRefused
from tests.fakes.mcp_modern import NEEDS, ModernServer
from tests.fakes.mcp_rig import FakeChannel, content, gateway_of, names, tool, until_listed

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")


@pytest.fixture
async def far(nursery: trio.Nursery) -> ModernServer:
    """A server with a few tools."""
    server = ModernServer([tool("look", read_only=True), tool("needy", read_only=True), tool("write"), tool("number")])
    await nursery.start(server.serve)
    return server


def upstream(far: ModernServer, more: str = 'strategy = "s"') -> str:
    return f'[upstreams.far]\ntype = "mcp"\nurl = "{far.url}"\nstart_patience = "20s"\n{more}\n'


async def test_calls_and_lists(tmp_path: Path, far: ModernServer) -> None:
    """Tools are called as they are; what they say of themselves beside the answer is kept, their stamp is not."""
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        assert names(gateway) == ["far_look", "far_needy", "far_write", "far_number"]
        for _ in range(2):
            result = orjson.loads((await gateway.catalogue.call("far_look", {})).payload)
            assert result["content"][0]["text"] == "look 1"
            assert set(result["_meta"]) == {"theirs", "gateway/cache"}
        for number in (1, 2):
            assert content(await gateway.catalogue.call("far_write", {})) == f"write {number}"


async def test_lists_hold_as_long_as_the_server_says(tmp_path: Path, far: ModernServer) -> None:
    """The least of what its lists say counts, and private stays private."""
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        listing = gateway.catalogue.listing("tools")
        assert 50 < listing.holds <= 60
        assert not listing.private
    far.scope, far.ttl_ms = "private", 20_000
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        await gateway.catalogue.call("far_look", {})  # connected, and so listed, by then
        listed = Listings(gateway.catalogue, 60.0)
        shown = listed.result("tools/list", "2026-07-28", types.PaginatedRequestParams())
        assert shown["cacheScope"] == "private"
        assert 10_000 < shown["ttlMs"] <= 20_000


@pytest.mark.parametrize(
    ("says", "caller", "readings"),
    [
        ({"ttlMs": 60_000, "cacheScope": "public"}, "", [1, 1]),
        ({"ttlMs": 60_000, "cacheScope": "private"}, "ada", [1, 1]),
        ({"ttlMs": 60_000, "cacheScope": "private"}, "", [1, 2]),
        ({"ttlMs": 0, "cacheScope": "public"}, "", [1, 2]),
    ],
)
async def test_resources_are_kept_as_the_server_says(
    tmp_path: Path, far: ModernServer, says: dict[str, Any], caller: str, readings: list[int]
) -> None:
    """For as long as it says, and what is for one client alone only for one that can be told from others."""
    far.read = says
    async with gateway_of(tmp_path, upstream(far, "")) as gateway:
        found = [await gateway.catalogue.read("far+x://a", Asking(caller=caller)) for _ in readings]
        assert [each["contents"][0]["text"] for each in found] == [f"reading {number}" for number in readings]
        assert found[0]["contents"][0]["uri"] == "far+x://a"
        assert found[0]["cacheScope"] == says["cacheScope"]
        assert found[0]["ttlMs"] <= says["ttlMs"]
        other = await gateway.catalogue.read("far+x://a", Asking(caller="bob"))
        assert other["contents"][0]["text"] == f"reading {readings[-1] + 1}", "nobody gets what another was given"


async def test_a_private_strategy_says_so(tmp_path: Path, far: ModernServer) -> None:
    """Whatever the server says, what the profile keeps apart is not handed on as everybody's."""
    far.read = {"ttlMs": 60_000, "cacheScope": "public"}
    text = '[strategies.own]\nttl = "1m"\nscope = "private"\n' + upstream(far, 'strategy = "own"')
    async with gateway_of(tmp_path, text) as gateway:
        for _ in range(2):
            found = await gateway.catalogue.read("far+x://a", Asking(caller="ada"))
            assert found["cacheScope"] == "private"


async def test_changes_are_listened_for(tmp_path: Path, far: ModernServer) -> None:
    """A server that says that its tools have changed is listed anew."""
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        with trio.fail_after(20):
            await far.listening.wait()
        far.tools = [tool("look", read_only=True), tool("new")]
        await trio.testing.wait_all_tasks_blocked(0.05)
        await far.tell()
        await until_listed(gateway, ["far_look", "far_new"])


async def test_input_for_a_modern_client(tmp_path: Path, far: ModernServer) -> None:
    """What the server wants to know is handed to the client, whose next request brings the answer; nothing is kept."""
    channel = FakeChannel("in a new request")
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        call = gateway.catalogue.call
        for _ in range(2):
            first = orjson.loads((await call("far_needy", {}, channel=channel, caller="ada")).payload)
            assert first["resultType"] == "input_required"
            assert first["inputRequests"] == {"who": NEEDS}
            answers = {
                "inputResponses": {"who": {"action": "accept", "content": {"name": "Ada"}}},
                "requestState": first["requestState"],
            }
            done = await call("far_needy", {}, channel=channel, caller="ada", answers=answers)
            assert content(done) == "Ada step.1"
        made_up = {**answers, "requestState": "step.1"}
        strange = (("far_needy", "eve", answers), ("far_look", "ada", answers), ("far_needy", "ada", made_up))
        for name, caller, sent in strange:
            with pytest.raises(UpstreamRefused, match="not of this gateway, caller and request"):
                await call(name, {}, channel=channel, caller=caller, answers=sent)
    capabilities = [params["_meta"]["io.modelcontextprotocol/clientCapabilities"] for params in far.calls("needy")]
    assert capabilities[:2] == [{}, {"elicitation": {}}], "it is asked on nobody's behalf first, then on the client's"


async def test_input_from_a_client_of_the_handshake(tmp_path: Path, far: ModernServer) -> None:
    """A client that can be asked at once is, and the request is made again with its answer."""
    channel = FakeChannel("at once")
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        result = await gateway.catalogue.call("far_needy", {}, channel=channel)
        assert content(result) == "Ada step.1"
        assert channel.asked == [("elicitation/create", "Who are you?")]


async def test_input_from_a_client_that_can_not_be_asked(tmp_path: Path, far: ModernServer) -> None:
    """It is told so, in a sentence."""
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        result = await gateway.catalogue.call("far_needy", {}, channel=FakeChannel())
        assert result.message == "far: it needs input (elicitation/create), and this client can't be asked for it"


@pytest.mark.parametrize("answers", ["at once", "in a new request"])
async def test_input_that_the_profile_does_not_pass_on(answers: Answers, tmp_path: Path, far: ModernServer) -> None:
    """The server does not get to know that clients could be asked; one that asks all the same reaches no client."""
    channel = FakeChannel(answers)
    async with gateway_of(tmp_path, upstream(far, 'strategy = "s"\nclient_features = ["sampling"]')) as gateway:
        result = await gateway.catalogue.call("far_needy", {}, channel=channel)
    why = "which upstreams.far.client_features does not pass on"
    assert result.message == f"far: it needs input (elicitation/create), {why}"
    assert channel.asked == []
    capabilities = [params["_meta"]["io.modelcontextprotocol/clientCapabilities"] for params in far.calls("needy")]
    assert capabilities == [{}, {}]


async def test_input_that_a_client_can_not_give(tmp_path: Path, far: ModernServer) -> None:
    """A server that asks a client for what it has not said that it can do gets no further than the gateway."""
    channel = FakeChannel("in a new request", capabilities={"sampling": {}})
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        result = await gateway.catalogue.call("far_needy", {}, channel=channel)
    assert result.message == "far: it needs input (elicitation/create), and this client can't be asked for it"


@pytest.mark.parametrize("answers", ["at once", "in a new request"])
async def test_roots_that_the_profile_passes_on(answers: Answers, tmp_path: Path, far: ModernServer) -> None:
    """A server learns the folders of the client that called it, and of no other."""
    far.needs = {"method": "roots/list", "params": {}}
    roots = {"roots": [{"uri": "file:///home/ada"}]}
    channel = FakeChannel(answers, capabilities={"roots": {}, "elicitation": {}}, says=roots)
    async with gateway_of(tmp_path, upstream(far, 'client_features = ["roots"]')) as gateway:
        result = await gateway.catalogue.call("far_needy", {}, channel=channel)
        if answers == "in a new request":
            state = orjson.loads(result.payload)["requestState"]
            sent = {"requestState": state, "inputResponses": {"who": roots}}
            result = await gateway.catalogue.call("far_needy", {}, channel=channel, answers=sent)
        assert content(result) == "file:///home/ada step.1"
    (capabilities, _) = [params["_meta"]["io.modelcontextprotocol/clientCapabilities"] for params in far.calls("needy")]
    assert capabilities == {"roots": {}}


async def test_a_call_of_ours_wants_it_fresh(tmp_path: Path, far: ModernServer) -> None:
    """`no-cache` in a call's `_meta` asks the server, where the strategy allows it."""
    text = upstream(far, 'strategy = "fresh"') + '[strategies.fresh]\nttl = "1h"\ncall_directives = ["no-cache"]\n'
    async with gateway_of(tmp_path, text) as gateway:
        meta = {"gateway/cache": {"no-cache": True}}
        said = [content(await gateway.catalogue.call("far_look", {}, meta=each)) for each in ({}, {}, meta)]
        assert said == ["look 1", "look 1", "look 2"]


async def test_a_private_strategy(tmp_path: Path, far: ModernServer) -> None:
    """Each caller has answers of their own."""
    text = upstream(far, 'strategy = "own"') + '[strategies.own]\nttl = "1h"\nscope = "private"\n'
    async with gateway_of(tmp_path, text) as gateway:
        said = [content(await gateway.catalogue.call("far_look", {}, caller=who)) for who in ("a", "b", "a")]
        assert said == ["look 1", "look 2", "look 1"]


async def test_a_client_gone_leaves_the_cached_call(tmp_path: Path, far: ModernServer) -> None:
    """A call whose answer is to be kept goes on for whoever asks next; one that is not is given up."""
    async with gateway_of(tmp_path, upstream(far)) as gateway:
        with trio.CancelScope() as scope:
            scope.cancel()
            await gateway.catalogue.call("far_look", {})
        assert content(await gateway.catalogue.call("far_look", {})) == "look 1"


async def test_the_server_goes_away(tmp_path: Path, far: ModernServer) -> None:
    """Its calls fail with a sentence, its tools stay listed, and its answers in the cache are still served."""
    async with gateway_of(tmp_path, upstream(far, 'strategy = "s"\ntimeout = "2s"\nretries = 0')) as gateway:
        await gateway.catalogue.call("far_look", {})
        far.stop()
        with trio.fail_after(20):
            while (result := await gateway.catalogue.call("far_write", {})).message is None:
                await trio.lowlevel.checkpoint()
        assert result.message.startswith("far: ")
        assert names(gateway)[0] == "far_look"
        assert content(await gateway.catalogue.call("far_look", {})) == "look 1"


async def test_nothing_is_there(tmp_path: Path) -> None:
    """An address where nothing listens holds nothing up, and a name that is private is refused."""
    text = '[upstreams.far]\ntype = "mcp"\nurl = "http://127.0.0.1:9/mcp"\nstart_patience = "1h"\n'
    with trio.fail_after(20):
        async with gateway_of(tmp_path, text) as gateway:
            (server,) = gateway.catalogue.federation.servers
            with pytest.raises(UpstreamError, match=r"no connection to http://127.0.0.1:9/mcp: Connection refused"):
                await server.request("tools/call", {"name": "x"}, FakeChannel(), of=("tools", "x"))
