from __future__ import annotations

import os
import sys
from pathlib import Path

import orjson
import pytest

from gateway.profile.alerts import Command
from gateway.watch.alerts.model import Change, Severity
from gateway.watch.alerts.notifying import CommandNotifier, NotTold, about, message, sentence, shown
from tests.watch.alerts.rig import change

SAVES = (
    "import json, os, sys; found = {'stdin': json.load(sys.stdin), 'environ': dict(os.environ)}; "
    "open(sys.argv[1], 'w').write(json.dumps(found))"
)


def command(*code: str, timeout: str = "20s") -> CommandNotifier:
    """One that runs Python code."""
    argv = [sys.executable, "-c", *code]
    return CommandNotifier(Command.model_validate({"argv": argv, "timeout": timeout}), "varlet", {"PATH": os.defpath})


def test_a_change_as_json() -> None:
    """What webhooks and programs get: names of the profile, numbers, and a sentence."""
    assert orjson.loads(message(change(subject="api"), "varlet")) == {
        "event": "raised",
        "gateway": "varlet",
        "at": 1000.0,
        "text": "critical: response time of api is 600 ms, at or above 500 ms (alerts.response_time.critical)",
        "alert": "response_time",
        "subject": "api",
        "severity": "critical",
        "before": "ok",
        "value": 0.6,
        "threshold": 0.5,
        "unit": "seconds",
        "key": "alerts.response_time.critical",
    }


def test_what_is_cleared_names_the_line_that_raised_it() -> None:
    """And the sentence says that it is good, or that nobody knows."""
    cleared = change(Severity.OK, before=Severity.WARNING)
    assert about(cleared)["key"] == "alerts.response_time.warning"
    assert sentence(cleared) == "response time is good again: 600 ms"
    unknown = Change(cleared.alert, cleared.before, cleared.at, judged=False)
    assert sentence(unknown) == "response time can't be judged any more: too few requests; it was 600 ms"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0, "seconds", "0 ms"),
        (0.0000421, "seconds", "0.0421 ms"),
        (0.9996, "seconds", "999.6 ms"),
        (1234.56, "seconds", "1235 s"),
        (412_345_678, "bytes", "412.3 MB"),
        (12_345_678_901, "bytes", "12.35 GB"),
        (1_000, "bytes", "0.001 MB"),
        (1, "bytes", "0.000001 MB"),
        (2_000_000_000_000, "bytes", "2000 GB"),
        (0.12345, "ratio", "12.35%"),
        (1500.4, "requests/s", "1500 requests/s"),
        (0.5, "requests/s", "0.5 requests/s"),
    ],
)
def test_numbers_as_people_read_them(value: float, unit: str, expected: str) -> None:
    """A few digits with a unit, and never an exponent."""
    assert shown(value, unit) == expected


async def test_a_program_gets_it_on_stdin_and_in_its_environment(tmp_path: Path) -> None:
    """With the gateway's own environment, so that it finds what it needs."""
    await command(SAVES, str(tmp_path / "found")).tell(change(subject="api"))
    found = orjson.loads((tmp_path / "found").read_bytes())
    assert found["stdin"] == orjson.loads(message(change(subject="api"), "varlet"))
    environ = found["environ"]
    assert (environ["GATEWAY_ALERT_EVENT"], environ["GATEWAY_ALERT_SEVERITY"]) == ("raised", "critical")
    assert (environ["GATEWAY_ALERT_SUBJECT"], environ["GATEWAY_ALERT_VALUE"]) == ("api", "0.6")
    assert environ["PATH"] == os.defpath


async def test_a_program_that_does_not_read_is_fine() -> None:
    """It may be satisfied with being run."""
    await command("pass").tell(change())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.exit('no\\x1b[31mwhere')", "ended with 1: no"),
        ("import sys; sys.exit(3)", "ended with 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
    ],
)
async def test_a_program_that_fails(code: str, expected: str) -> None:
    """How it ended, and what it said, made printable."""
    with pytest.raises(NotTold) as raised:
        await command(code).tell(change())
    assert f"{sys.executable} {expected}" in str(raised.value)
    assert str(raised.value).isprintable()


async def test_what_a_program_says_is_bounded() -> None:
    """All of it is read, and the beginning is kept."""
    with pytest.raises(NotTold) as raised:
        await command("import sys; sys.stderr.write('x' * 10_000_000); sys.exit(1)").tell(change())
    assert str(raised.value).endswith("x" * 400)
    assert len(str(raised.value)) < 1000


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its timeout; its process is gone then."""
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(NotTold, match=r"took longer than notifications\.command\.timeout and was ended"):
        await command(code, timeout="2s").tell(change())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("program", "expected"),
    [("/nowhere/notify", "No such file or directory"), ("/etc/passwd", "Permission denied")],
)
async def test_a_program_that_can_not_be_run(program: str, expected: str) -> None:
    """A sentence with the program's name."""
    notifier = CommandNotifier(Command.model_validate({"argv": [program]}), "varlet")
    with pytest.raises(NotTold, match=f"{program} can't be run: {expected}"):
        await notifier.tell(change())
