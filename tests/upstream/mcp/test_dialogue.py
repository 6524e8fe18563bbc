"""A server of the handshake era asks in the middle of a request, and clients of both eras answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import trio

from gateway.assembly import Gateway
from gateway.upstream.mcp.model import UpstreamRefused
from tests.fakes.mcp_rig import Child, FakeChannel, content, gateway_of, tool, upstream

ADA = '{"action": "accept", "content": {"name": "Ada"}}'
RETURNING: Final = "in a new request"


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """A server with a tool that asks."""
    child = Child(tmp_path / "far")
    child.lists(tool("ask"), tool("look", read_only=True), tool("hang"))
    return child


async def ask(gateway: Gateway, channel: FakeChannel, **more: Any) -> dict[str, Any]:
    """The result of the tool that asks."""
    result = await gateway.catalogue.call("far_ask", {}, channel=channel, **more)
    found = orjson.loads(result.payload)
    assert isinstance(found, dict)
    return found


def brought(result: dict[str, Any], **answer: Any) -> dict[str, Any]:
    """What a client comes back with."""
    return {"requestState": result["requestState"], "inputResponses": {"question": answer}}


async def test_a_client_of_the_same_era_is_asked_at_once(tmp_path: Path, child: Child) -> None:
    """The question is the server's, the answer the client's."""
    channel = FakeChannel("at once")
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        result = await ask(gateway, channel)
        assert result["content"][0]["text"] == ADA
        assert channel.asked == [("elicitation/create", "Who are you?")]


async def test_a_modern_client_comes_back_with_its_answer(tmp_path: Path, child: Child) -> None:
    """The call waits here meanwhile, and is not made a second time."""
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        first = await ask(gateway, FakeChannel(RETURNING))
        assert first["resultType"] == "input_required"
        question = first["inputRequests"]["question"]
        assert (question["method"], question["params"]["message"]) == ("elicitation/create", "Who are you?")
        answers = brought(first, action="accept", content={"name": "Ada"})
        done = await ask(gateway, FakeChannel(RETURNING), answers=answers)
        assert done["content"][0]["text"] == ADA
        assert child.seen.count("call ask {}") == 1


@pytest.mark.parametrize(
    ("caller", "name", "state"),
    [
        ("eve", "far_ask", None),
        ("ada", "far_look", None),
        ("ada", "far_ask", "gateway:made-up"),
        ("ada", "far_ask", "x"),
    ],
)
async def test_a_strange_state_is_refused(
    tmp_path: Path, child: Child, caller: str, name: str, state: str | None
) -> None:
    """Another caller's, another request's, one that was made up; whose it is can still come back."""
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        first = await ask(gateway, FakeChannel(RETURNING), caller="ada")
        answers = brought(first, action="accept", content={"name": "Ada"})
        stolen = {**answers, "requestState": state or first["requestState"]}
        with pytest.raises(UpstreamRefused, match="not of this gateway, caller and request; begin anew") as refused:
            await gateway.catalogue.call(name, {}, channel=FakeChannel(RETURNING), caller=caller, answers=stolen)
        assert refused.value.code == -32602
        done = await ask(gateway, FakeChannel(RETURNING), caller="ada", answers=answers)
        assert done["content"][0]["text"] == ADA


async def test_a_state_is_good_for_one_request(tmp_path: Path, child: Child) -> None:
    """Once it was used, it leads nowhere."""
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        first = await ask(gateway, FakeChannel(RETURNING))
        answers = brought(first, action="decline")
        assert (await ask(gateway, FakeChannel(RETURNING), answers=answers))["content"][0]["text"] == (
            '{"action": "decline"}'
        )
        with pytest.raises(UpstreamRefused):
            await ask(gateway, FakeChannel(RETURNING), answers=answers)


async def test_coming_back_without_an_answer(tmp_path: Path, child: Child) -> None:
    """The question is asked once more, and can be answered then."""
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        first = await ask(gateway, FakeChannel(RETURNING))
        lacking: list[Any] = [None, {"other": {}}, {"question": 1}]
        for sent in lacking:
            back = {"requestState": first["requestState"], "inputResponses": sent}
            assert await ask(gateway, FakeChannel(RETURNING), answers=back) == first
        done = await ask(gateway, FakeChannel(RETURNING), answers=brought(first, action="cancel"))
        assert not done.get("isError")


async def test_a_client_that_does_not_come_back(tmp_path: Path, child: Child) -> None:
    """Its call is given up after the time that the profile gives it."""
    async with gateway_of(tmp_path, upstream(child, more='input_timeout = "50ms"')) as gateway:
        first = await ask(gateway, FakeChannel(RETURNING))
        await child.sees("cancelled")
        assert "the client is gone" in await child.sees("answered")
        with pytest.raises(UpstreamRefused, match="begin anew"):
            await ask(gateway, FakeChannel(RETURNING), answers=brought(first, action="accept"))


@pytest.mark.parametrize("capabilities", [{}, {"sampling": {}}])
@pytest.mark.parametrize("answers", ["at once", RETURNING, "never"])
async def test_a_client_that_can_not_answer(
    tmp_path: Path, child: Child, answers: Any, capabilities: dict[str, Any]
) -> None:
    """It is not bothered with what it can't do; the server is told so and goes on without."""
    channel = FakeChannel(answers, capabilities)
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        result = await ask(gateway, channel)
        assert "this client can't be asked for it" in result["content"][0]["text"]
        assert channel.asked == []


async def test_whom_the_question_is_for_must_be_clear(tmp_path: Path, child: Child) -> None:
    """With two requests under way nobody knows whom the server means, so neither client is asked."""
    channel = FakeChannel("at once")
    async with gateway_of(tmp_path, upstream(child)) as gateway, trio.open_nursery() as nursery:
        nursery.start_soon(gateway.catalogue.call, "far_hang", {})
        await child.sees("call hang")
        result = await ask(gateway, channel)
        assert "several requests are under way" in result["content"][0]["text"]
        assert channel.asked == []
        nursery.cancel_scope.cancel()


async def test_what_the_profile_does_not_pass_on(tmp_path: Path, child: Child) -> None:
    """The server does not even get to know that clients could be asked."""
    async with gateway_of(tmp_path, upstream(child, more='client_features = ["sampling"]')) as gateway:
        assert '"elicitation"' not in await child.sees("initialize")
        result = await ask(gateway, FakeChannel("at once"))
        assert "Elicitation not supported" in result["content"][0]["text"]


async def test_a_read_only_tool_that_asks(tmp_path: Path, child: Child) -> None:
    """It is called for everybody first; as it wants to know something, it is called again for this client alone."""
    child.lists(tool("ask", read_only=True))
    async with gateway_of(tmp_path, upstream(child, more='strategy = "s"')) as gateway:
        for times in (2, 4):
            channel = FakeChannel("at once")
            assert (await ask(gateway, channel))["content"][0]["text"] == ADA
            assert len(channel.asked) == 1
            assert child.seen.count("call ask {}") == times, "and nothing is kept of it"


async def test_a_client_that_leaves_while_it_is_asked(tmp_path: Path, child: Child) -> None:
    """Its call ends, and the server is told."""

    class Slow(FakeChannel):
        async def ask(self, method: str, params: Any) -> Any:
            asked.set()
            await trio.sleep_forever()

    asked = trio.Event()
    async with gateway_of(tmp_path, upstream(child)) as gateway:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, gateway, Slow("at once"))
            await asked.wait()
            nursery.cancel_scope.cancel()
        assert "the client is gone" in await child.sees("answered")
        assert content(await gateway.catalogue.call("far_look", {})) == "look {}"
