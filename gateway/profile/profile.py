"""The root of a profile."""

from __future__ import annotations

from pydantic import Field

from gateway.profile.section import Name, Section
from gateway.profile.serving import Admin, Logging, Server
from gateway.profile.tiers import Cache, Strategy
from gateway.profile.tools import Tool, Warm
from gateway.profile.upstreams import Politeness, Upstream
from gateway.profile.watch import Alerts, Metrics, Monitors, Profiling


class Profile(Section):
    """Everything that an operator decides, checked; made by `gateway.profile.loader.load_profile`."""

    description: str = ""
    """What this profile is for."""
    server: Server = Server()
    admin: Admin = Admin()
    logging: Logging = Logging()
    cache: Cache = Cache()
    strategies: dict[Name, Strategy] = {}
    upstream_defaults: Politeness = Politeness()
    upstreams: dict[Name, Upstream] = {}
    tools: dict[Name, Tool] = {}
    warm: Warm = Warm()
    metrics: Metrics = Metrics()
    profiling: Profiling = Profiling()
    monitors: Monitors = Monitors()
    alerts: Alerts = Field(default=Alerts())
