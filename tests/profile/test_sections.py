from __future__ import annotations

import pytest

from gateway.profile.documentation import documentation
from gateway.profile.section import Section
from tests.profile.sections import ALL

FIELDS = [(section, name) for section in ALL for name in section.model_fields]


def test_all_are_found() -> None:
    """The sections of the profile are found, the parts of unions too."""
    assert {"Profile", "MemoryTier", "NpmUpstream", "WarmCall", "Nearest"} <= {section.__name__ for section in ALL}


@pytest.mark.parametrize(("section", "name"), FIELDS, ids=[f"{section.__name__}.{name}" for section, name in FIELDS])
def test_every_key_is_documented(section: type[Section], name: str) -> None:
    """Every key of a profile says what it means: editors and the JSON Schema show it."""
    description = documentation(section).get(name)
    assert description
    assert description.endswith((".", "`"))


@pytest.mark.parametrize("section", ALL, ids=[section.__name__ for section in ALL])
def test_every_section_is_closed(section: type[Section]) -> None:
    """Every section says what it is, refuses unknown keys and stays as it was loaded."""
    assert section.__doc__
    assert section.model_config["extra"] == "forbid"
    assert section.model_config["frozen"]


DEFAULTS = [(section, name) for section, name in FIELDS if isinstance(section.model_fields[name].default, Section)]


@pytest.mark.parametrize(
    ("section", "name"), DEFAULTS, ids=[f"{section.__name__}.{name}" for section, name in DEFAULTS]
)
def test_what_is_unset_is_sound(section: type[Section], name: str) -> None:
    """A section that stands for one that is not there, and is not checked, is what an empty table means."""
    default = section.model_fields[name].default
    checked = type(default).model_validate({})
    assert default == checked
    assert default.model_fields_set == checked.model_fields_set
