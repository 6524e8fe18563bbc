from __future__ import annotations

import pytest
from cyclopts import App

from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName, headers_of
from gateway.errors import GatewayError


def parse(*tokens: str) -> tuple[str, tuple[str, ...]]:
    app = App()

    @app.default
    def command(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = ()) -> None: ...

    _, bound, _ = app.parse_args(tokens, exit_on_error=False)
    bound.apply_defaults()
    return bound.arguments["profile"], tuple(bound.arguments["set_"])


def test_defaults() -> None:
    """Where nothing is said it is the profile for development, unchanged."""
    assert parse() == ("development", ())


def test_set_is_repeatable() -> None:
    """Each --set is one override, its value as it stands."""
    tokens = ("--set", 'server.bind=["a", "b"]', "--set=server.title=-x=y", "--profile", "production")
    assert parse(*tokens) == ("production", ('server.bind=["a", "b"]', "server.title=-x=y"))


def test_the_environment_names_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """GATEWAY_PROFILE is the profile where the command line names none."""
    monkeypatch.setenv("GATEWAY_PROFILE", "testing")
    assert parse()[0] == "testing"
    assert parse("--profile", "production")[0] == "production"


def test_headers() -> None:
    """Each --header is a name and a value, which may hold anything that a header can."""
    assert headers_of(("Authorization=Bearer a=b==", "X-A=")) == {"Authorization": "Bearer a=b==", "X-A": ""}


@pytest.mark.parametrize("said", ["A: x=secret", "=secret", "A=\x00secret", "A=\u00e9", "\u00e9=a"])
def test_no_header(said: str) -> None:
    """What is no header is told by its name alone: its value may be a secret."""
    with pytest.raises(GatewayError, match=r"^--header: expected NAME=VALUE in plain ASCII, found '") as caught:
        headers_of((said,))
    assert "secret" not in str(caught.value)
