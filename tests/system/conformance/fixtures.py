"""The profile that has what the conformance suite asks for, as the arguments of a gateway."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]


def fixtures(folder: Path) -> list[str]:
    """The arguments of a gateway that is started in `folder`, which the documents are copied to."""
    shutil.copytree(_HERE / "documents", folder / "documents")
    program = [sys.executable, "-m", "tests.fakes.conformance_server"]
    settings = {"command": program, "cwd": str(_ROOT)}
    told = [
        part for key, value in settings.items() for part in ("--set", f"upstreams.fixtures.{key}={json.dumps(value)}")
    ]
    return ["--profile", str(_HERE / "profile.toml"), *told]
