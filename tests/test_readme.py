from __future__ import annotations

import re
from pathlib import Path

from gateway.profile.reference import reference

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_every_key_is_documented() -> None:
    """The README holds the tables of `gateway schema --markdown` as they are now."""
    tables = re.search(r"<!-- gateway schema --markdown -->\n\n(.*?\n)\n<!-- end -->", README, re.DOTALL)
    assert tables is not None
    assert tables[1] == reference()


def test_the_first_screen_holds_exactly_two_commands() -> None:
    """A new user sees how to start it and how to test it, and nothing else to type."""
    first_screen = README.partition("\n## ")[0].splitlines()
    assert len(first_screen) < 24
    assert sum(line.startswith("    ") for line in first_screen) == 2


def test_every_command_is_documented() -> None:
    """Each command of the command line is in the README's table."""
    from gateway.cli.app import app

    names = {name for name in app if not name.startswith("-")}
    documented = set(re.findall(r"^\| `gateway \[?([\w-]+)", README, re.MULTILINE))
    assert documented == names
