"""`gateway bench` as a process: the whole suite with its real gateways, saved, compared, cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from tests.system import processes
from tests.system.processes import Ended

FEW = ("--iterations", "3", "--warmup", "1")
QUICK = (*FEW, "--only", "key", "--only", "memory.*")


def environment(folder: Path) -> dict[str, str]:
    """That of a process, with a temporary folder of its own."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    return {**processes.environment(folder), "TMPDIR": str(temporary)}


async def bench(folder: Path, *arguments: str) -> Ended:
    """How `gateway bench` ended, which leaves nothing behind."""
    with trio.fail_after(4 * processes.START):  # the whole suite takes 24 s of processor time
        ended = await trio.run_process(
            processes.command("bench", *arguments),
            cwd=folder,
            env=environment(folder),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    assert list((folder / "temporary").iterdir()) == []
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


async def saved(folder: Path, **ratios: float) -> dict[str, Any]:
    """A run of quick subjects in `run.json`, doctored to have these ratios."""
    ended = await bench(folder, *QUICK, "--save", "run.json")
    assert (ended.code, ended.err) == (0, "")
    document: dict[str, Any] = json.loads((folder / "run.json").read_text())
    for name, ratio in ratios.items():
        document["subjects"][name]["ratio"] = ratio
    (folder / "run.json").write_text(json.dumps(document))
    return document


@pytest.mark.timeout(300)
async def test_the_whole_suite(tmp_path: Path) -> None:
    """Every subject is measured on real tiers, sockets and processes, and nothing of that is left behind."""
    ended = await bench(tmp_path, *FEW, "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    listed = await bench(tmp_path, "--list")
    names = [line.split()[0] for line in listed.out.splitlines()[1:]]
    assert list(found["subjects"]) == names
    assert len(names) == 19
    assert all(subject["ratio"] > 0 for subject in found["subjects"].values())
    assert found["subjects"]["hit.http.modern"]["iterations"] == 3
    assert found["subjects"]["startup.stdio.tools"]["iterations"] == 1


async def test_compared_with_itself(tmp_path: Path) -> None:
    """A run passes beside an earlier one of the same gateway; what only one of them has is told."""
    await saved(tmp_path)
    ended = await bench(
        tmp_path, *FEW, "--only", "memory.*", "--only", "select", "--compare", "run.json", "--fail-above", "1e6"
    )
    assert (ended.code, ended.err) == (0, "")
    *_, then, now, outcome = ended.out.splitlines()
    assert (then.rstrip(), now.rstrip()) == ("not measured then: select", "not measured now: key")
    assert outcome.rstrip() == "passed: none of 2 subjects is above 1e+06 times its earlier cost"


async def test_slower(tmp_path: Path) -> None:
    """Where a subject was much faster then, it is named, in the table's outcome and in JSON, and the exit code is 1."""
    await saved(tmp_path, **{"memory.get": 1e-9})
    compare = (*QUICK, "--compare", "run.json", "--fail-above", "1e6")
    ended = await bench(tmp_path, *compare)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines()[-1].startswith("FAILED: above 1e+06 times the earlier cost: memory.get (")
    ended = await bench(tmp_path, *compare, "--json")
    comparison = json.loads(ended.out)["comparison"]
    assert (ended.code, comparison["passed"]) == (1, False)
    assert comparison["factors"]["memory.get"] > 1e6 > comparison["factors"]["key"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--save", "nowhere/run.json"), "can't write nowhere/run.json: expected a file in a folder that is there"),
        (("--save", "."), "can't write .: expected a file"),
        (("--compare", "none.json"), "can't read none.json: No such file or directory; measure again"),
        (
            ("--compare", "other.json"),
            "other.json: expected a run that gateway bench has saved, found one of kind 'load'",
        ),
        (
            ("--only", "nothing.*"),
            "--only: expected the name of a subject or a glob, found 'nothing.*'; there are memory.get",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_refused_before_it_begins(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """What can't work is told before the work is done, in one sentence."""
    (tmp_path / "other.json").write_text('{"kind": "load"}')
    ended = await bench(tmp_path, *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"gateway: {sentence}")
    assert ended.err.count("\n") == 1


async def test_misuse(tmp_path: Path) -> None:
    """Numbers that make no sense are misuse."""
    for arguments in (("--iterations", "0"), ("--warmup", "-1"), ("--fail-above", "0"), ("memory.get",)):
        assert (await bench(tmp_path, *arguments)).code == 2, arguments


async def test_cut_short(tmp_path: Path) -> None:
    """SIGTERM ends it and the gateway that it has started, and takes the temporary folder away."""
    command = processes.command("bench", "--only", "hit.http.modern", "--iterations", "1000000")
    process = await trio.lowlevel.open_process(command, cwd=tmp_path, env=environment(tmp_path))
    try:
        with trio.fail_after(processes.START):
            while not (served := psutil.Process(process.pid).children()):  # noqa: ASYNC110  # nobody tells
                await trio.sleep(0.05)
        process.terminate()
        with trio.fail_after(processes.END):
            assert await process.wait() == 130
    finally:
        if process.poll() is None:
            process.kill()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not [child for child in served if child.is_running()]
