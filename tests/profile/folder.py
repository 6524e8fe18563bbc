"""A folder with profiles that a test writes, and what loading them gives."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile.faults import Fault
from gateway.profile.loader import Loaded, load_profile
from gateway.profile.upstreams import KINDS

_QUOTED = [f'"{kind}"' for kind in KINDS]
ANY_KIND = f"{', '.join(_QUOTED[:-1])} or {_QUOTED[-1]}"
"""The kinds of upstream, as a fault names them."""


class Folder:
    """Profiles in one folder, which is the working folder and the only one that is searched."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        """Write a file; the text's common indentation is dropped, and so is its first line break."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text.removeprefix("\n")))
        return path

    def load(
        self, text: str = "", *, environ: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
    ) -> Loaded:
        """Load `text` as p.toml, or the p.toml that is there."""
        if text:
            self.write("p.toml", text)
        return load_profile("p", environ=environ or {}, overrides=overrides, cwd=self.path, folders=[self.path])

    def faults(
        self, text: str = "", *, environ: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
    ) -> tuple[Fault, ...]:
        """What is wrong with `text` as p.toml."""
        with pytest.raises(ProfileError) as caught:
            self.load(text, environ=environ, overrides=overrides)
        return caught.value.faults

    def lines(
        self, text: str = "", *, environ: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
    ) -> list[str]:
        """The first line of every fault: where, which key, what was expected and what was found."""
        faults = self.faults(text, environ=environ, overrides=overrides)
        return [str(fault).partition("\n")[0] for fault in faults]

    def warnings(self, text: str) -> list[str]:
        """The first line of every warning about `text` as p.toml."""
        return [str(warning).partition("\n")[0] for warning in self.load(text).warnings]
