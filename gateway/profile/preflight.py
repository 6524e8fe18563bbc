"""`[preflight]`: what has to be there before a release."""

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section
from gateway.profile.units import Duration, Size


class Preflight(Section):
    """`[preflight]`: what `gateway check --preflight` looks for beside the profile itself."""

    load_report: str | None = None
    """The JSON report of a load test (`gateway load`)."""
    soak_report: str | None = None
    """The JSON report of a test for leaks (`gateway soak`)."""
    max_age: Annotated[Duration, Field(gt=0)] = 30 * 86400.0
    """How old a report may be."""
    disk_room: Size = 1_000_000_000
    """Bytes that have to be free beside what the disk tier may take."""
    patience: Annotated[Duration, Field(gt=0)] = 10.0
    """How long each upstream may take to be reached."""
