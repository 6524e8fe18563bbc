"""The command line as a process: help, usage errors, output that can't be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__


def gateway(*arguments: str, folder: Path, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def test_version(tmp_path: Path) -> None:
    """`--version` is the version and nothing else."""
    ended = gateway("--version", folder=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [],
            ["call", "check", "schema", "serve", "show", "stdio", "--profile", "--set", "GATEWAY_PROFILE", "--version"],
        ),
        (["serve"], ["--profile", "--set", "development"]),
        (["stdio"], ["--profile", "--set"]),
        (["call"], ["TOOL", "NAME=VALUE", "--profile", "--set", "--text"]),
        (["check"], ["--profile", "--set", "--strict"]),
        (["show"], ["--profile", "--set", "--origins"]),
        (["schema"], ["JSON Schema"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    """Help shows every command and every option."""
    ended = gateway(*arguments, "--help", folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    for word in words:
        assert word in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "unknown command 'nope'; see gateway --help"),
        (["chekc"], "unknown command 'chekc', did you mean check?; see gateway --help"),
        (["check", "extra"], "unknown argument 'extra'; see gateway check --help"),
        (["--nope"], "Unknown option: --nope; see gateway --help"),
        (["call", "t", "--nope"], "Unknown option: --nope; see gateway call --help"),
        (["call"], 'Command "call" parameter TOOL requires an argument; see gateway call --help'),
        (["serve", "--set"], 'Command "serve" parameter --set requires an argument; see gateway serve --help'),
    ],
)
def test_misuse(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    """Arguments that no command takes are one line on stderr, with where to read on, and exit code 2."""
    ended = gateway(*arguments, folder=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"gateway: {sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["call", "nope"], "no tool 'nope'; the profile development declares list_components, "),
        (["call", "list_components", "x"], "expected NAME=VALUE, found 'x'"),
        (["call", "list_components", "search=a", "search=b"], "search is given twice"),
    ],
)
def test_failure(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    """What can't be done is one line on stderr and exit code 1."""
    ended = gateway(*arguments, folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"gateway: {sentence}")
    assert ended.stderr.count("\n") == 1


def test_output_is_utf8(tmp_path: Path) -> None:
    """TOML and JSON are UTF-8 also where the locale is not, and the name of a file that is no text is escaped."""
    name = os.fsdecode(b"./\xff.toml")
    (tmp_path / name).write_text('description = "日本"')
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "show", "--profile", name, "--origins"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode().splitlines()[0] == 'description = "日本"  # \\udcff.toml:1'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["schema", "show", "check"])
def test_a_full_disk(command: str, tmp_path: Path) -> None:
    """Output that can't be written is a sentence."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ended = gateway(command, folder=tmp_path, stdout=full)
    finally:
        os.close(full)
    assert (ended.returncode, ended.stderr) == (
        1,
        "gateway: can't write the output: No space left on device\n",
    )


def test_a_reader_that_left(tmp_path: Path) -> None:
    """`gateway schema | true` says nothing about it."""
    read, write = os.pipe()
    os.close(read)
    try:
        ended = gateway("schema", folder=tmp_path, stdout=write)
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize(
    ("closed", "sentence"),
    [
        ("<&-", "stdin has to be open: it is where the client's messages come from"),
        (">&-", "stdout and stderr have to be open; /dev/null will do"),
    ],
)
def test_a_closed_descriptor(closed: str, sentence: str, tmp_path: Path) -> None:
    """`gateway stdio` without one of its pipes says so instead of writing into somebody else's file."""
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" -m gateway stdio {closed}', sys.executable],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, f"gateway: {sentence}\n")


@pytest.mark.parametrize("command", ["check", "serve", "stdio"])
def test_a_working_directory_that_is_gone(command: str, tmp_path: Path) -> None:
    """Started in a directory that was deleted, it says so."""
    ended = subprocess.run(
        ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m gateway "$1"', sys.executable, command],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith("gateway: the working directory can't be used: No such file or directory\n")
