from __future__ import annotations

import json
import tomllib
from typing import Any

import jsonschema_rs
import pytest

from gateway.cli.schema import profile_schema, schema
from gateway.profile.search import shipped_folder


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(profile_schema(), offline=True)


@pytest.mark.parametrize("name", ["base", "varlet", "development", "testing", "production"])
def test_accepts_the_shipped_profiles(name: str, validator: jsonschema_rs.Validator) -> None:
    """An editor finds nothing wrong with a shipped file."""
    table = tomllib.loads((shipped_folder() / f"{name}.toml").read_text())
    assert [error.message for error in validator.iter_errors(table)] == []


@pytest.mark.parametrize(
    "table",
    [
        {"cache": {"memory": {"max_sise": "1MB"}}},
        {"cache": {"memory": {"max_size": "256 megs"}}},
        {"extends": "base.toml"},
        {"upstreams": {"a": {"type": "htp"}}},
        {"tool_defaults": {"a": {"titel": "A"}}},
    ],
)
def test_refuses_what_the_gateway_refuses(table: dict[str, Any], validator: jsonschema_rs.Validator) -> None:
    """An editor marks unknown keys, wrong values and wrong types."""
    assert not validator.is_valid(table)


def test_references_are_accepted(validator: jsonschema_rs.Validator) -> None:
    """A quantity that comes from the environment is no fault in an editor."""
    assert validator.is_valid({"cache": {"memory": {"max_size": "${SIZE:-1MB}"}}})


def test_defaults_are_written_as_in_a_profile() -> None:
    """Defaults have their units."""
    memory = profile_schema()["$defs"]["MemoryTier"]["properties"]
    assert memory["max_size"]["default"] == "256MB"
    assert memory["ttl"]["default"] == "15m"
    assert memory["ttl"]["description"].startswith("How long")


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the schema, which says what it is."""
    assert schema() == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed["title"] == "Profile"
    assert next(iter(printed["properties"])) == "extends"
