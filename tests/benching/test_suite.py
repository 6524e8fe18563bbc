"""Every subject that is measured in this process, opened and iterated; the served ones are in tests/system."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import trio

from gateway.benching import calls, pure, tiers
from gateway.benching.model import Subject
from gateway.benching.running import Plan, measure
from gateway.benching.surroundings import BATCH, called, open_own_gateway, own_environment, write_profile
from gateway.benching.upstream import open_upstream
from gateway.errors import GatewayError
from gateway.profile.loader import load_profile

IN_PROCESS = (*tiers.SUBJECTS, *pure.SUBJECTS, *calls.SUBJECTS)


@pytest.mark.parametrize("subject", IN_PROCESS, ids=lambda subject: subject.name)
async def test_subjects(tmp_path: Path, subject: Subject) -> None:
    """Each subject does what it is to measure, time after time, and closes whatever it has opened."""
    found = await measure(subject, Plan(3 * subject.share, 1), tmp_path)
    assert (found.name, found.iterations) == (subject.name, 3)
    assert 0 < found.cost.min <= found.cost.max


async def test_the_profile(tmp_path: Path) -> None:
    """The suite's own profile is sound, wherever its folder lies."""
    folder = tmp_path / 'a "quoted" ${HOME} folder'
    loaded = load_profile(str(await write_profile(folder)), environ={})
    assert loaded.profile.cache.disk.path == f"{folder}/cache.db"
    assert loaded.warnings == ()


async def test_the_same_answer_from_everywhere(tmp_path: Path) -> None:
    """What is selected is the same out of a file, over HTTP and out of a batch; a second time it is a hit."""
    async with open_upstream() as url, open_own_gateway(tmp_path, url) as gateway:
        answers = [await called(gateway, tool, "button") for tool in ("read_file", "read_page")]

        async def one(name: str) -> None:
            answers.append(await called(gateway, "read_one_of_many", name))

        async with trio.open_nursery() as nursery:
            for number in range(BATCH - 1):
                nursery.start_soon(one, f"other-{number}")
            nursery.start_soon(one, "button")
        answers.append(await called(gateway, "read_file", "Button"))
    assert [answer.outcome for answer in answers] == ["miss"] * (2 + BATCH) + ["hit"]
    contents = [orjson.loads(answer.payload)["structuredContent"] for answer in answers]
    assert len([content for content in contents if content == contents[0]]) == 4
    assert b"button-member-27" in answers[0].payload


async def test_a_refusal_is_no_answer(tmp_path: Path) -> None:
    """A tool that answers with an error is not measured as if it were quick."""
    async with open_own_gateway(tmp_path) as gateway:
        with pytest.raises(GatewayError, match="expected an answer of read_file, found "):
            await called(gateway, "read_file", "nothing")


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would change the suite's profile is kept from its processes, the rest is not."""
    monkeypatch.setenv("GATEWAY__CACHE__MEMORY__ENABLED", "false")
    monkeypatch.setenv("GATEWAY_PROFILE", "production")
    monkeypatch.setenv("LANG", "C.UTF-8")
    found = own_environment()
    assert found["LANG"] == "C.UTF-8"
    assert not [name for name in found if name.startswith("GATEWAY_")]
