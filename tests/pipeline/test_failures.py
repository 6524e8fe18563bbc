from __future__ import annotations

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotAsked, UpstreamUnavailable
from gateway.pipeline.failures import Failures
from gateway.pipeline.model import Negative, Policy

POLICY = Policy("s", ttl=1.0, negative=Negative(invalid=10.0))


def failed() -> UpstreamError:
    try:
        try:
            raise ValueError("no JSON")
        except ValueError as error:
            raise UpstreamInvalid("api", "it does not parse") from error
    except UpstreamError as error:
        return error


def test_a_remembered_failure_holds_on_to_no_frame() -> None:
    """The frames of a failed load have the body that did not parse: ten thousand of them would fill the memory."""
    failures = Failures()
    failures.record("k", failed(), POLICY, now=0.0)
    for _ in range(2):
        remembered = failures.of("k", now=1.0)
        assert isinstance(remembered, UpstreamInvalid)
        assert (str(remembered), remembered.upstream, remembered.message) == (
            "api: it does not parse",
            "api",
            "it does not parse",
        )
        assert remembered.__traceback__ is None
        assert remembered.__cause__ is None
        assert remembered.__context__ is None
        try:
            raise remembered
        except UpstreamError:
            pass


def test_what_was_not_asked_is_not_remembered() -> None:
    """It costs nothing to find out whether there is room again, or the breaker has closed."""
    failures = Failures()
    policy = Policy("s", ttl=1.0, negative=Negative(upstream_error=10.0))
    failures.record("busy", UpstreamNotAsked("api", "not asked, it is busy"), policy, now=0.0)
    failures.record("down", UpstreamUnavailable("api", "down"), policy, now=0.0)
    assert failures.of("busy", now=1.0) is None
    assert failures.of("down", now=1.0) is not None
