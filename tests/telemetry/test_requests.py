from __future__ import annotations

import pytest
import structlog.testing
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    GatewayError,
    ToolError,
    UnknownTool,
    UnknownVersion,
    UpstreamInvalid,
    UpstreamNotFound,
    UpstreamUnavailable,
)
from gateway.telemetry.requests import Requests
from gateway.telemetry.telemetry import Telemetry

SECRET = "s3cret-token"
FAILURES: list[tuple[Exception, str]] = [
    (ToolError(SECRET), "refused"),
    (UnknownTool(SECRET), "refused"),
    (UpstreamNotFound("api", SECRET), "refused"),
    (UnknownVersion("api", SECRET, ()), "refused"),
    (UpstreamUnavailable("api", SECRET), "failed"),
    (UpstreamInvalid("api", SECRET), "failed"),
    (GatewayError(SECRET), "refused"),
    (ValueError(SECRET), "crashed"),
]


def labels(telemetry: Telemetry) -> list[tuple[str, ...]]:
    return [found for found, _ in telemetry.requests.items()]


def test_an_answer_is_counted_with_what_is_known_of_it() -> None:
    """Kind, name, strategy, tier and outcome."""
    telemetry = Telemetry()
    with Requests(telemetry).watching("tool", "props", strategy="components") as ending:
        ending.outcome, ending.tier = "hit", "memory"
    assert labels(telemetry) == [("tool", "props", "components", "memory", "hit")]


@pytest.mark.parametrize(("error", "outcome"), FAILURES, ids=lambda each: type(each).__name__)
def test_an_exception_is_an_outcome(error: Exception, outcome: str) -> None:
    """What the caller did is told from what an upstream did, and from a fault of ours; the strategy is known anyhow."""
    telemetry = Telemetry()
    with pytest.raises(type(error)), Requests(telemetry).watching("tool", "props", strategy="s"):
        raise error
    assert labels(telemetry) == [("tool", "props", "s", "", outcome)]


async def test_who_goes_away_is_counted_as_such(autojump_clock: trio.testing.MockClock) -> None:
    """And is still cancelled."""
    telemetry = Telemetry()
    with trio.move_on_after(1) as scope, Requests(telemetry).watching("tool", "props"):
        await trio.sleep_forever()
    assert scope.cancelled_caught
    assert labels(telemetry) == [("tool", "props", "", "", "cancelled")]


@pytest.mark.parametrize(("error", "outcome"), FAILURES, ids=lambda each: type(each).__name__)
def test_no_line_has_what_was_asked_or_answered(error: Exception, outcome: str) -> None:
    """Lines are made of names of the profile and of how it went; errors speak of arguments, so they are left out."""
    requests = Requests(Telemetry(), sample=1.0)
    with structlog.testing.capture_logs() as logs, pytest.raises(type(error)), requests.watching("tool", "props"):
        raise error
    (line,) = logs
    assert set(line) == {"event", "kind", "name", "outcome", "ms", "log_level"}
    assert SECRET not in str(line)
    assert line["log_level"] == ("info" if outcome == "refused" else "warning")


@pytest.mark.parametrize(
    ("outcome", "seconds", "lines"),
    [("hit", 0.1, 0), ("hit", 1.0, 1), ("refused", 0.1, 0), ("failed", 0.0, 1), ("crashed", 0.0, 1)],
)
def test_bad_and_slow_ones_leave_a_line(outcome: str, seconds: float, lines: int) -> None:
    """Whatever the sample is; others do not."""
    with structlog.testing.capture_logs() as logs:
        Requests(Telemetry(), sample=0.0, slow=1.0).ended("tool", "props", "s", "memory", outcome, seconds)
    assert len(logs) == lines


def test_a_share_of_all_leaves_a_line() -> None:
    """All of them at 100 %, some of them at half."""
    for sample, least, most in ((1.0, 1000, 1000), (0.5, 350, 650), (0.0, 0, 0)):
        with structlog.testing.capture_logs() as logs:
            requests = Requests(Telemetry(), sample=sample)
            for _ in range(1000):
                requests.ended("tool", "props", "s", "memory", "hit", 0.1)
        assert least <= len(logs) <= most


@given(st.lists(st.sampled_from(["hit", "miss", "refused"]), max_size=20))
def test_every_request_is_counted_once(outcomes: list[str]) -> None:
    """Whether it leaves a line or not."""
    telemetry = Telemetry()
    requests = Requests(telemetry)
    for outcome in outcomes:
        requests.ended("tool", "props", "s", "", outcome, 0.1)
    assert sum(histogram.count for _, histogram in telemetry.requests.items()) == len(outcomes)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UpstreamNotFound("api", "x"), "not_found"),
        (UpstreamUnavailable("api", "x"), "unavailable"),
        (UpstreamInvalid("api", "x"), "invalid"),
        (UnknownVersion("api", "1", ()), "version"),
        (ValueError("x"), "crashed"),
        (KeyboardInterrupt(), "cancelled"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_question_to_an_upstream_is_counted_by_its_end(error: BaseException, outcome: str) -> None:
    """A fault of ours is no answer of the upstream's, and not somebody who went away, either."""
    telemetry = Telemetry()
    with pytest.raises(type(error)), telemetry.asking("api"):
        raise error
    assert [found for found, _ in telemetry.upstreams.items()] == [("api", outcome)]
