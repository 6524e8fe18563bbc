from __future__ import annotations

from pathlib import Path

import pytest
import trio.testing

from gateway.upstream.model import Wanted
from tests.catalogue.rig import open_rig
from tests.fakes.upstream import FakeUpstream

TOOL = """
[tools.t]
description = "d"
strategy = "s"
[tools.t.input.properties]
q = {{ type = ["string", "null", "number"] }}
tags = {{ type = "array" }}
[tools.t.fetch]
upstream = "api"
path = "search"
{fetch}
"""


async def asked(folder: Path, fetch: str, **arguments: object) -> Wanted:
    """What an upstream is asked for by one call."""
    async with open_rig(folder, TOOL.format(fetch=fetch), api=FakeUpstream(otherwise=b"{}")) as rig:
        await rig.value(**arguments)
        (wanted,) = rig.api.asked
        return wanted


async def test_json(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A body goes with its Content-Type, which a header of the fetch may replace."""
    fetch = 'method = "POST"\nbody = { q = "{q}", tags = "{tags}" }\nheaders = { X-A = "{q}" }'
    wanted = await asked(tmp_path, fetch, q='"}')
    assert wanted == Wanted(
        "search",
        headers=(("Content-Type", "application/json"), ("X-A", '"}')),
        method="POST",
        body=b'{"q":"\\"}"}',
    )


async def test_a_form(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Values are encoded, arrays repeated."""
    wanted = await asked(tmp_path, 'method = "POST"\nform = { q = "{q}", t = "{tags}" }', q="a&b", tags=["x", "y z"])
    assert wanted.body == b"q=a%26b&t=x&t=y+z"
    assert wanted.headers == (("Content-Type", "application/x-www-form-urlencoded"),)


async def test_a_query_without_an_argument(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The parameter is not sent at all, and an array is several."""
    assert (await asked(tmp_path, 'query = { q = "{q}", t = "{tags}" }')).query == ()
    wanted = await asked(tmp_path, 'query = { q = "{q}", t = "{tags}" }', q=None, tags=[1, 2])
    assert wanted.query == (("t", "1"), ("t", "2"))


async def test_a_search_by_post_is_cached_by_its_body(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """What only reads is kept, and another body is another document."""
    text = TOOL.format(fetch='method = "POST"\nbody = { q = "{q}" }')
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}")) as rig:
        for q in ("a", "a", "b", "a"):
            await rig.value(q=q)
        assert [wanted.body for wanted in rig.api.asked] == [b'{"q":"a"}', b'{"q":"b"}']


async def test_a_number_that_is_none(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """NaN, infinity and half of a surrogate pair never get as far as a body."""
    text = TOOL.format(fetch='method = "POST"\nbody = { q = "{q}" }')
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}")) as rig:
        for q in (float("nan"), float("inf"), "\ud800"):
            assert (await rig.sentence(q=q)).startswith("Invalid arguments: ")
        assert rig.api.asked == []


@pytest.mark.parametrize(("q", "key"), [("a", "a"), (7, 7), (2.5, "2.5")])
async def test_a_key_of_a_batch(autojump_clock: trio.testing.MockClock, tmp_path: Path, q: object, key: object) -> None:
    """A whole number stays one, since it may go into JSON."""
    text = TOOL.format(fetch='batch_key = "{q}"').replace(
        "[tools.t]\n", '[upstreams.api.batch]\nparameter = "ids"\n[tools.t]\n'
    )
    async with open_rig(tmp_path, text, api=FakeUpstream(otherwise=b"{}")) as rig:
        await rig.value(q=q)
        assert [wanted.batch_key for wanted in rig.api.asked] == [key]
        assert (await rig.sentence()) == "q: expected a value, found none"
