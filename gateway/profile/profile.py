"""The root of a profile."""

from gateway.profile.alerts import Alerts, Notifications
from gateway.profile.clients import Client
from gateway.profile.federation import Federation
from gateway.profile.load import Load
from gateway.profile.offers import Prompt, Resource
from gateway.profile.preflight import Preflight
from gateway.profile.scaling import Scaling
from gateway.profile.section import Json, Name, Section
from gateway.profile.serving import Admin, Logging, Server
from gateway.profile.tiers import Cache, Strategy
from gateway.profile.tools import Tool, Warm
from gateway.profile.upstreams import Upstream
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.watch import Metrics, Monitors, OpenTelemetry, Profiling


class Profile(Section):
    """Everything that an operator decides, checked; made by `gateway.profile.loader.load_profile`."""

    description: str = ""
    """What this profile is for."""
    server: Server = Server.unset()
    """MCP over HTTP."""
    admin: Admin = Admin.unset()
    """Health and administration."""
    clients: dict[Name, Client] = {}
    """Who may ask, by name."""
    logging: Logging = Logging.unset()
    """What is written to stderr."""
    cache: Cache = Cache.unset()
    """The tiers."""
    strategies: dict[Name, Strategy] = {}
    """For how long answers are fresh, by name."""
    upstream_defaults: Politeness = Politeness.unset()
    """What every upstream starts from."""
    upstreams: dict[Name, Upstream] = {}
    """Where documents come from, by name."""
    federation: Federation = Federation.unset()
    """What other MCP servers offer."""
    tool_defaults: dict[Name, dict[str, Json]] = {}
    """What several tools start from, by name: parts of a `[tools.NAME]`, for those that name it in `defaults`."""
    tools: dict[Name, Tool] = {}
    """What agents can call, by name."""
    resources: dict[Name, Resource] = {}
    """What clients can read by a URI, by name."""
    prompts: dict[Name, Prompt] = {}
    """What users start from, by name."""
    warm: Warm = Warm.unset()
    """What is called ahead."""
    metrics: Metrics = Metrics.unset()
    """The numbers that are kept."""
    opentelemetry: OpenTelemetry = OpenTelemetry.unset()
    """Where spans and metrics are sent."""
    profiling: Profiling = Profiling.unset()
    """Where the time goes."""
    monitors: Monitors = Monitors.unset()
    """What is done about the gateway's own health."""
    scaling: Scaling = Scaling.unset()
    """What is made larger and smaller while it runs."""
    alerts: Alerts = Alerts.unset()
    """From where on a number is bad."""
    preflight: Preflight = Preflight.unset()
    """What has to be there before a release."""
    load: Load = Load.unset()
    """What a load test asks."""
    notifications: Notifications = Notifications.unset()
    """Who is told of an alert."""
