"""The conformance suite of the protocol against the gateway, as a server of both frozen revisions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.system.conformance.fixtures import fixtures
from tests.system.conformance.suite import Check, Suite, suite
from tests.system.processes import Gateway

__all__ = ["suite"]

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),  # the first one installs Node.js and the suite
    pytest.mark.filterwarnings("default:the conformance suite warns:UserWarning"),
]

_ASKED = (
    "the server asks the client by a request of its own, whose answer is another POST: only a session leads it back"
)
_CAPABLE = f"{_ASKED}, and only a session knows from initialize that the client can be asked"
_TOLD = (
    "who has subscribed is told on a stream of their session; to take the subscription and never tell would be a lie"
)

_NO_ROOM = 'one JSON body has no room for what is told before the answer; server.response = "stream" has it'

STATELESS: dict[str, dict[tuple[str, str], str]] = {
    "2025-11-25": {
        ("tools-call-sampling", "tools-call-sampling"): _CAPABLE,
        ("tools-call-elicitation", "tools-call-elicitation"): _CAPABLE,
        ("elicitation-sep1034-defaults", "elicitation-sep1034-general"): _CAPABLE,
        ("elicitation-sep1330-enums", "elicitation-sep1330-general"): _CAPABLE,
        ("resources-subscribe", "resources-subscribe"): _TOLD,
        ("resources-unsubscribe", "resources-unsubscribe"): _TOLD,
    },
    "2026-07-28": {},
}
"""What fails by design, by scenario and check, and why: over HTTP any instance can answer any request, so there are no
sessions of the handshake era unless the profile wants them. The revision of 2026 has another way for each, and over
stdio all of it works."""

ONE_BODY = {
    "2025-11-25": {
        ("tools-call-with-logging", "tools-call-with-logging"): _NO_ROOM,
        ("tools-call-with-progress", "tools-call-with-progress"): _NO_ROOM,
    },
}
"""What fails, too, where answers are JSON: only then does the front answer the handshake era itself."""


@pytest.mark.parametrize(
    ("front", "response", "revision"),
    [
        ("true", "json", "2025-11-25"),  # what of this era the front answers itself
        ("false", "stream", "2025-11-25"),
        ("true", "stream", "2026-07-28"),
    ],
)
def test_conformance(suite: Suite, front: str, response: str, revision: str, tmp_path: Path) -> None:
    """Every check of the revision passes but for those that a server without sessions can't pass; extensions aside."""
    checks = _checked(suite, revision, tmp_path, f"front={front}", f'response="{response}"')
    failed = [each for each in checks if each.status in ("FAILURE", "SKIPPED")]
    by_design = STATELESS[revision] | (ONE_BODY[revision] if response == "json" else {})
    unexpected = [str(each) for each in failed if (each.scenario, each.id) not in by_design]
    assert unexpected == [], "\n".join(unexpected)
    passing = by_design.keys() - {(each.scenario, each.id) for each in failed}
    assert not passing, f"these pass now, and belong out of the table: {passing}"
    _complete(suite, revision, checks)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("front", ["true", "false"])
def test_conformance_with_sessions(suite: Suite, front: str, revision: str, tmp_path: Path) -> None:
    """With sessions every check of both revisions passes; extensions aside."""
    checks = _checked(suite, revision, tmp_path, f"front={front}", "sessions=true")
    failed = [str(each) for each in checks if each.status in ("FAILURE", "SKIPPED")]
    assert failed == [], "\n".join(failed)
    _complete(suite, revision, checks)


def _complete(suite: Suite, revision: str, checks: Sequence[Check]) -> None:
    """No scenario is missing; what the suite only warns of is passed on."""
    assert suite.required(revision) <= {each.scenario for each in checks}
    for each in checks:
        if each.status == "WARNING":
            warnings.warn(f"the conformance suite warns: {each}", stacklevel=1)


def _checked(suite: Suite, revision: str, folder: Path, *settings: str) -> list[Check]:
    """All checks but those of extensions, of a gateway with these settings of its server."""
    told = [part for each in settings for part in ("--set", f"server.{each}")]
    with Gateway.serving(folder, *fixtures(folder), *told) as gateway:
        checks = suite.run(gateway.url, revision, folder / "results")
        assert gateway.stop() == 0
    extensions = suite.extensions(revision)
    return [each for each in checks if each.scenario not in extensions]
